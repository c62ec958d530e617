"""Print what a release of PEFT says of every distinct config of a folder of adapters, one JSON line each.

Run where PEFT of that release is installed: `python record_configs.py CORPUS`. Configs that differ in no more than the
name of the base are one. A line has `path`, `error` (null, or `Class: text` of what reading the config raised) and
`dropped` (the keys that were dropped with a warning).
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from peft import PeftConfig


def main(corpus: str) -> None:
    seen = set()
    for file in sorted(Path(corpus).rglob("adapter_config.json")):
        try:
            values = json.loads(file.read_bytes())
        except ValueError:
            continue
        if not isinstance(values, dict):
            continue
        values.pop("base_model_name_or_path", None)
        said = json.dumps(values, sort_keys=True)
        if said in seen:
            continue
        seen.add(said)
        folder, error = str(file.parent), None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                PEFT_TYPE_TO_CONFIG_MAPPING[PeftConfig._get_peft_type(folder)].from_pretrained(folder)
            except Exception as raised:
                error = f"{type(raised).__name__}: {raised}"
        told = (re.search(r"keyword arguments (\[.*?\]) for", str(warning.message)) for warning in caught)
        found = next((match for match in told if match), None)
        dropped = re.findall(r"'([^']+)'", found[1]) if found else []
        print(json.dumps({"path": str(file.parent.relative_to(corpus)), "error": error, "dropped": dropped}))


if __name__ == "__main__":
    main(sys.argv[1])
