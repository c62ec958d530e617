"""Write `adapterlint/peft/default_targets.json` from PEFT's sources.

    python make_default_targets.py SOURCES

`SOURCES` is a folder with one unpacked wheel for each release of `adapterlint.peft.releases.PATCHES`, as `pip download
--no-deps peft==X` and `unzip` give them, named `peft-<release>*`. Nothing of PEFT is imported: `utils/constants.py` is
run without its imports.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

from adapterlint.peft.releases import PATCHES

TARGET = Path(__file__).parents[2] / "adapterlint/peft/default_targets.json"
NAME = re.compile(r"TRANSFORMERS_MODELS_TO_(\w+)_MODULES_MAPPING")
TYPES = {"LNTUNING_TARGET": "LN_TUNING_TARGET"}


def mappings(source: Path) -> dict[str, dict[str, Any]]:
    """`LORA_TARGET` -> model type -> targets, of one release."""
    tree = ast.parse((source / "peft/utils/constants.py").read_text())
    kept = [n for n in tree.body if isinstance(n, ast.Assign | ast.AugAssign | ast.Expr)]
    kept = [n for n in kept if "MODULES_MAPPING" in ast.unparse(n)]
    names: dict[str, Any] = {}
    exec(compile(ast.Module(kept, []), "constants", "exec"), names)
    found = {m[1]: v for k, v in names.items() if (m := NAME.fullmatch(k))}
    return {TYPES.get(k, k): v for k, v in found.items()}


def main(sources: Path) -> None:
    table: dict[str, dict[str, list[list[Any]]]] = {}
    for line, patch in PATCHES.items():
        (source,) = sources.glob(f"peft-{patch}*/")
        now = mappings(source)
        for method in table.keys() | now.keys():
            rows = table.setdefault(method, {})
            for model_type in rows.keys() | now.get(method, {}).keys():
                targets = now.get(method, {}).get(model_type)
                history = rows.setdefault(model_type, [])
                if (history[-1][1] if history else None) != targets:
                    history.append([line, targets])
    base = table["LORA_TARGET"]
    # Most methods take LoRA's table, from some release on; of the others what differs is written.
    compact: dict[str, Any] = {}
    for method, rows in sorted(table.items()):
        since = min((h[0][0] for h in rows.values()), key=list(PATCHES).index)
        if (
            method != "LORA_TARGET"
            and all(_from(base.get(m, []), since) == h for m, h in rows.items())
            and len(rows) >= 30
        ):
            compact[method] = since
        else:
            compact[method] = dict(sorted(rows.items()))
    body = ",\n".join(f"{json.dumps(k)}: {_rows(v)}" for k, v in compact.items())
    TARGET.write_text("{\n" + body + "\n}\n")


def _from(history: list[list[Any]], since: str) -> list[list[Any]]:
    """A history as a table that began with release `since` tells it."""
    lines = list(PATCHES)
    old = [row for row in history if lines.index(row[0]) <= lines.index(since)]
    new = [row for row in history if lines.index(row[0]) > lines.index(since)]
    return ([[since, old[-1][1]]] if old and old[-1][1] is not None else []) + new


def _rows(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
