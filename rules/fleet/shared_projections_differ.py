"""FLT118."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from adapterlint import Cause, Finding, Fleet, FleetPatch, FleetSimulation, Member, Patch, Severity, rule, shown
from adapterlint.lint.example import DROP, GOOD_CONFIG
from adapterlint.lint.fleet import each, name_all, paths, they
from adapterlint.peft.methods import METHODS

_TENSORS = {name: tuple(one.name for one in method.top) for name, method in METHODS.items() if method.shared}
_KEYS = ("r", "projection_prng_key", "save_projection")


def _vera(rank: int, **config: Any) -> Patch:
    modules = [f"base_model.model.model.layers.{i}.self_attn.q_proj.vera_lambda" for i in range(2)]
    return Patch(
        config={
            **dict.fromkeys(GOOD_CONFIG, DROP),
            **{key: GOOD_CONFIG[key] for key in ("base_model_name_or_path", "bias", "inference_mode", "task_type")},
            "peft_type": "VERA",
            "target_modules": ["q_proj"],
            "projection_prng_key": 0,
            "save_projection": True,
            "r": rank,
            **config,
        },
        tensors={
            "*": DROP,
            "base_model.vera_A": ("F32", (rank, 16)),
            "base_model.vera_B": ("F32", (16, rank)),
            **{f"{module}_b": ("F32", (16,)) for module in modules},
            **{f"{module}_d": ("F32", (rank,)) for module in modules},
        },
    )


@rule(
    "FLT118",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"small": _vera(4), "large": _vera(8)}),
        FleetPatch({"one": _vera(4), "two": _vera(4, projection_prng_key=7)}),
    ),
    good=FleetPatch({"one": _vera(4), "two": _vera(4)}),
    source="peft/tuners/vera/model.py, VeraModel._check_new_adapter_config; peft/tuners/vera/layer.py, update_layer",
)
def shared_projections_differ(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """Adapters that share the projections of a model need different ones.

    The VERA, PVERA and RANDLORA adapters of a model share one pair of random projections, made for the first of them.
    An adapter of a larger rank is refused (`ValueError: vera_A has a size of 4 but 8 or greater is required`), one of a
    smaller rank while loading or in the forward pass (`RuntimeError`), and so is another `projection_prng_key` or
    `save_projection` (`ValueError`). Projections of another size are refused since 0.21 (`RuntimeError ... size
    mismatch for base_model.vera_A`, which leaves the first adapter with partly overwritten ones); before, an adapter
    with smaller ones is silently wrong. They are as large as the widest module of the first adapter asks for: one that
    tunes wider modules has to be loaded first.

    Load them into models of their own.
    """
    told = list(_by_config(fleet))
    yield from told
    known = {path for finding in told for path in finding.adapters}
    causes = [c for c in simulation.about("shared-projections-differ") if not known.issuperset(paths(c.members))]
    if not simulation.partial:
        yield from _by_modules(causes)


def _by_config(fleet: Fleet) -> Iterator[Finding]:
    """What config and file of adapters tell."""
    for members in fleet.alike():
        tensors = _TENSORS.get(members[0].peft_type, ())
        for what in (*_KEYS, *tensors) if tensors else ():
            values: dict[Hashable, list[Member]] = {}
            for m in members:
                value = _value(m, what)
                if value is not None:
                    values.setdefault(value, []).append(m)
            if len(values) < 2:
                continue
            other = list(values.values())[1][0]
            header = other.adapter.header
            yield Finding(
                f"{shown(what)} differs ({each(values)}), but the adapters of a model share their random projections: "
                "loading or running all but the first raises (`ValueError` or `RuntimeError`)",
                at=other.config.at(what) if what in _KEYS or header is None else header.at(f"base_model.{what}"),
                help="Load them into models of their own.",
                severity=fleet.severity,
                adapters=paths(m for those in values.values() for m in those),
                peft=None if what in _KEYS else ">=0.21",
            )
            break  # a different rank is a different shape too


def _by_modules(causes: Iterable[Cause]) -> Iterator[Finding]:
    """Projections that are made for the modules of the first adapter, and are too small for those of another one."""
    for cause in causes:
        if not cause.first or not cause.later:
            continue
        error = f" `{cause.error.type}`" if cause.error else ""
        what = ("raises" + error, "raise" + error) if error else ("is silently wrong", "are silently wrong")
        yield Finding(
            f"The modules of {name_all(cause.later)} need other shared projections than those made for "
            f"{name_all(cause.first)}, after which {they(cause.later, *what)}",
            at=cause.later[0].at_tuned(cause.modules[0]),
            help="Load them into models of their own." if cause.hopeless else f"Load {name_all(cause.later)} first.",
            severity=cause.severity,
            adapters=paths(cause.members),
            peft=cause.peft,
        )


def _value(member: Member, what: str) -> Hashable:
    if what not in _KEYS:
        tensor = member.footprint.shared.get(what)
        return tensor.shape if tensor is not None else None
    value = member.config.get(what)
    return value if isinstance(value, int) else None
