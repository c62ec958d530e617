"""What a config says of a value that is not in it: the expression over its other values."""

from __future__ import annotations

import functools
from typing import Any

from adapterlint.base.architectures.defaults import default_config
from adapterlint.base.architectures.learn import Build, Learner
from adapterlint.base.architectures.probes import as_dict, config_class, ignored, leaves, make, probes
from adapterlint.base.expressions import flat


@functools.lru_cache(1)
def derivations(model_type: str) -> dict[str, Any]:
    """Value of a config -> the expression that gives it where the config does not."""

    cls = config_class(model_type)
    default = as_dict(default_config(model_type))
    builds = [Build(dict(flat(default)), frozenset())]
    for path, value in leaves(default):
        if ignored(path):
            continue
        for group in list(probes(path, value))[:2]:
            for tried in group:
                nested: Any = {path.rpartition(".")[2]: tried}
                for parent in reversed(path.split(".")[:-1]):
                    nested = {parent: nested}
                try:
                    config = as_dict(make(cls, nested))
                except Exception:
                    continue
                builds.append(Build(dict(flat(config)), frozenset({path})))
                break
    found: dict[str, Any] = {}
    for name, value in builds[0].values.items():
        known = [b for b in builds if b.changed != frozenset({name}) and name in b.values]
        seen = [b.values[name] for b in known]
        if not isinstance(value, str | int | bool | None) or len(set(map(repr, seen))) == 1:
            continue
        if not all(isinstance(v, str | int | bool | None) for v in seen):
            continue
        samples = [(b, ()) for b in known]
        if all(type(v) is int for v in seen):
            expression = Learner().number(samples, seen)
            expression = ["+", expression, 0] if isinstance(expression, dict) else expression  # no choice of values
        else:
            expression = Learner().choice(samples, seen)
            expression = expression if "f" in expression else None
        if expression is not None:
            found[name] = expression
    return found
