"""Keep of recorded fleets what the tests ask for: `python strip.py all.jsonl.gz fleets.jsonl.gz`."""

from __future__ import annotations

import gzip
import json
import re
import sys
from typing import Any

TEXT = 60  # characters of an error's text


def said(error: dict[str, str] | None) -> str | None:
    if error is None:
        return None
    text = re.sub(r"\s+", " ", error["text"])[:TEXT]
    return f"{error['type']}: {text}"


def order(entry: dict[str, Any]) -> str | None:
    if entry["refused"]:
        return f"{entry['refused']} {said(entry['error'])}"
    raised = [said(result) for result in entry["faithful"].values() if isinstance(result, dict)]
    return f"forward {raised[0]}" if raised else None


def stripped(fleet: dict[str, Any]) -> dict[str, Any]:
    truth = {
        release: {
            "alone": {name: entry["loads"] for name, entry in judged["alone"].items()},
            "orders": {names: order(entry) for names, entry in judged["orders"].items()},
            "active": {
                names: {chosen: said(result["error"] or result.get("forward")) for chosen, result in sets.items()}
                for names, sets in judged["active"].items()
            },
        }
        for release, judged in fleet["truth"].items()
    }
    return {key: fleet[key] for key in ("id", "base", "mutations", "adapters")} | {"truth": truth}


def main(source: str, target: str) -> None:
    with gzip.open(source, "rt") as lines, gzip.GzipFile(target, "wb", mtime=0) as packed:
        for line in lines:
            packed.write(json.dumps(stripped(json.loads(line)), sort_keys=True, separators=(",", ":")).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
