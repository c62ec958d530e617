"""The target modules that PEFT takes where a config names none: `peft/utils/constants.py` of every release."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

from adapterlint.peft.matching import ALL_LINEAR
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import RELEASES

_History = list[list[Any]]  # [first release line, targets or null], oldest first


def default_targets(peft_type: str, model_type: str | None, release: str, *, table: str = "TARGET") -> Any:
    """What PEFT of a release fills in for `target_modules: null`.

    Args:
        peft_type: The PEFT type.
        model_type: `model_type` of the base's config.
        release: A release line, as `"0.18"`.
        table: `TARGET`, or `FEEDFORWARD` for the `feedforward_modules` of IA3.

    Returns:
        A list of names, a pattern, or `None` if PEFT asks for `target_modules` instead.
    """
    rows = _table().get(f"{peft_type}_{table}")
    before = isinstance(rows, dict) and table == "TARGET" and _index(release) < min(map(_since, rows.values()))
    if isinstance(rows, str) or before:  # LoRA's table
        since = rows if isinstance(rows, str) else RELEASES[0]
        if _index(release) < _index(since) and not METHODS[peft_type].targets_of_lora:
            return None
        rows = _table()["LORA_TARGET"]
    known = [targets for since, targets in (rows or {}).get(model_type, ()) if _index(since) <= _index(release)]
    linear = table == "TARGET" and METHODS[peft_type].targets_all_linear
    return known[-1] if known else ALL_LINEAR if linear else None


@functools.cache
def every_default(peft_type: str, table: str = "TARGET") -> tuple[Any, ...]:
    """All that `default_targets` gives for a type of PEFT, whatever the base and the release.

    Returns:
        Lists of names and patterns; none if the type takes nothing by default.
    """
    rows = _table().get(f"{peft_type}_{table}")
    if rows is None:
        return ()
    tables = (rows, _table()["LORA_TARGET"]) if table == "TARGET" else (rows,)
    histories = [history for of in tables if isinstance(of, dict) for history in of.values()]
    found = [targets for history in histories for _, targets in history if targets is not None]
    found += [ALL_LINEAR] if table == "TARGET" and METHODS[peft_type].targets_all_linear else []
    return tuple({repr(targets): targets for targets in found}.values())


def _since(history: _History) -> int:
    return _index(history[0][0])


def _index(release: str) -> int:
    return RELEASES.index(release)


@functools.cache
def _table() -> dict[str, Any]:
    text = files("adapterlint.peft").joinpath("default_targets.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
