"""Write `table.bin` (see adapterlint/base/table.py for its parts) and `failures.json` from lines of every release."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from adapterlint.base import table
from adapterlint.base.table import LENGTH_BYTES, MAGIC, RELEASES

MEMBER = 1 << 18  # bytes that are compressed together, and decompressed for one class

Lines = dict[str, dict[str, dict[str, str]]]  # model type -> class -> release -> line
Tasks = dict[str, dict[str, dict[str, str]]]  # model type -> release -> task -> class


def pack(paths: list[Path], folder: Path) -> str:
    """Write both files.

    Args:
        paths: Lines of one release each, which begins the name of the file; a later line stands for an earlier one.
        folder: Where to.

    Returns:
        What was written, in words.
    """
    lines: Lines = {}
    tasks: Tasks = {}
    activations: dict[str, dict[str, str]] = {}
    failures: dict[str, dict[str, str]] = {release: {} for release in RELEASES}
    for path in paths:
        release = next(r for r in RELEASES if path.name.startswith(r))
        for entry in _entries(path):
            if "tasks" in entry:
                activations[release] = entry.get("activations", {})
                for model_type, known in entry["tasks"].items():
                    tasks.setdefault(model_type, {})[release] = known
                continue
            model_type, name = entry.pop("m"), entry["c"]
            if "error" in entry:
                failures[release][f"{model_type} {name}"] = entry["error"]
            else:
                lines.setdefault(model_type, {}).setdefault(name, {})[release] = _text(_slim(entry))
    for release, failed in failures.items():
        for key in [k for k in failed if release in lines.get(k.split()[0], {}).get(k.split()[1], {})]:
            del failed[key]
    data = _packed(lines, tasks, activations)
    (folder / "table.bin").write_bytes(data)
    (folder / "failures.json").write_text(json.dumps(failures, indent=1, sort_keys=True) + "\n", "utf-8")
    counts = {r: sum(r in by_release for c in lines.values() for by_release in c.values()) for r in RELEASES}
    return (
        f"classes {counts}, {len(lines)} model types, {len(data)} bytes, failures {list(map(len, failures.values()))}"
    )


def unpack(folder: Path) -> list[Path]:
    """Write the lines that are packed again, to learn some of them anew and pack them with the others.

    Args:
        folder: Where to.

    Returns:
        A file for each release.
    """
    failures = json.loads((files("adapterlint.base") / "architectures" / "failures.json").read_text("utf-8"))
    written = []
    for release in RELEASES:
        families = {m: found for m in table.model_types() if (found := table.family(m)) is not None}
        tasks = {m: family.tasks[release] for m, family in families.items() if release in family.tasks}
        lines = [_text({"tasks": tasks, "activations": table.activations(release)})]
        for key, error in failures[release].items():
            model_type, name = key.split()
            lines.append(_text({"c": name, "m": model_type, "error": error}))
        for model_type, family in families.items():
            for places in family.classes.values():
                if release in places:
                    lines.append(_text({"m": model_type, **json.loads(family.lines[places[release]])}))
        path = folder / f"{release}.jsonl"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        written.append(path)
    return written


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_text("utf-8").splitlines():
        try:
            yield json.loads(text)
        except ValueError:  # the last line of a run that was stopped
            continue


def _slim(part: Any) -> Any:
    """A part of a line without the defaults of choices that their rows say already."""
    if isinstance(part, list):
        return [_slim(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    said = "f" in part and "m" in part and part.get("d") == part["m"][0][-1]
    return {key: _slim(value) for key, value in part.items() if not (said and key == "d")}


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _packed(lines: Lines, tasks: Tasks, activations: Mapping[str, Mapping[str, str]]) -> bytes:
    members: list[bytes] = []
    types: dict[str, list[Any]] = {}
    text = b""
    for model_type in _ordered(lines):
        body, places = _body(lines[model_type])
        if text and len(text) + len(body) > MEMBER:
            members.append(_compressed(text))
            text = b""
        own = tasks.get(model_type, {})
        known = own[RELEASES[0]] if len(own) == len(RELEASES) and len(set(map(_text, own.values()))) == 1 else own
        types[model_type] = [len(members), len(text), len(body), places, known]
        text += body
    members.append(_compressed(text))
    index = {"types": types, "activations": activations, "members": list(map(len, members))}
    head = _compressed(_text(index).encode())
    return MAGIC + len(head).to_bytes(LENGTH_BYTES, "little") + head + b"".join(members)


def _compressed(data: bytes) -> bytes:
    """The same as `zlib.compress`, a twentieth smaller if zopfli is installed."""
    try:
        from zopfli.zlib import compress
    except ImportError:
        return zlib.compress(data, 9)
    return bytes(compress(data))


def _ordered(lines: Lines) -> list[str]:
    """The model types, each after the one that it is most like: what is near is cheap to say again."""
    nodes: dict[str, set[str]] = {}
    for model_type, classes in sorted(lines.items()):
        texts = {text for by_release in classes.values() for text in by_release.values()}
        nodes[model_type] = {_text(node) for text in texts for node in json.loads(text)["n"]}
    last = next(iter(nodes))
    order = [last]
    left = dict.fromkeys(list(nodes)[1:])
    while left:
        seen = nodes[last]
        last = max(left, key=lambda m: len(nodes[m] & seen) / (1 + len(nodes[m] | seen)))
        del left[last]
        order.append(last)
    return order


def _body(classes: Mapping[str, Mapping[str, str]]) -> tuple[bytes, dict[str, Any]]:
    """The lines of a model type, and where each class has its own: a number for both releases, or one for each."""
    texts: list[str] = []
    places: dict[str, Any] = {}
    for name, by_release in classes.items():
        for text in by_release.values():
            if text not in texts:
                texts.append(text)
        numbers = [texts.index(by_release[r]) if r in by_release else None for r in RELEASES]
        places[name] = numbers[0] if len(set(numbers)) == 1 else numbers
    return "\n".join(texts).encode(), places
