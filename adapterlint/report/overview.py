"""What adapters touch, as a table and as JSON: the output of `adapterlint show`."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from adapterlint.adapter import Adapter, Config
from adapterlint.peft.footprint import Footprint, footprint
from adapterlint.words import counted, printable, redacted, shortened

MAX_CELL = 400  # characters of one cell
_LAYER = re.compile(r"(?:^|\.)(\d+)(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Overview:
    """One adapter at a glance.

    Args:
        format: Whose format it is in; the rest is only known for PEFT.
        ranks: Ranks of its tuned modules, as the tensors have them; those of the config if there are no tensors.
        tuned: Kind of module (last component of its path) -> the layers it is tuned in; an empty list if the modules
            of this kind are in no numbered layer.
        modules_to_save: Modules it brings whole.
        trainable_tokens: Module -> token indices; `None` where the config does not give them.
        weights: `read`, `missing`, or why they could not be read.
        tensors: Number of tensors; `None` if the weights were not read.
        bytes: Size of their data.
        bytes_in_whole_modules: How much of it full matrices are.
    """

    path: str
    format: str
    peft_type: str | None = None
    base_model: str | None = None
    ranks: tuple[int, ...] = ()
    tuned: dict[str, tuple[int, ...]] | None = None
    modules_to_save: tuple[str, ...] = ()
    trainable_tokens: dict[str, tuple[int, ...] | None] | None = None
    weights: str | None = None
    tensors: int | None = None
    bytes: int | None = None
    bytes_in_whole_modules: int | None = None


def overviews(adapters: Iterable[Adapter]) -> list[Overview]:
    """The overview of each adapter."""
    return [_overview(adapter) for adapter in adapters]


def _overview(adapter: Adapter) -> Overview:
    config, header = adapter.config, adapter.header
    touched = footprint(config, header) if config is not None and header is not None else None
    plain = [*touched.overwrites, *touched.biases] if touched else []
    if touched:
        below = {m for modules in touched.modules_to_save.values() for m in modules}
        plain += [
            name for (module, _), name in touched.names.items() if module in below and module not in touched.tuned
        ]
    return Overview(
        path=adapter.path,
        format=adapter.files.format.value,
        peft_type=(config.peft_type or None) if config else None,
        base_model=config.base_model if config else None,
        ranks=_ranks(config, touched),
        tuned=_by_kind(touched.tuned) if touched else None,
        modules_to_save=tuple(sorted(touched.modules_to_save)) if touched else (),
        trainable_tokens={m: t.indices for m, t in touched.trainable_tokens.items()} if touched else None,
        weights="read"
        if header
        else adapter.unreadable["weights"].kind
        if "weights" in adapter.unreadable
        else "missing",
        tensors=len(header.tensors) if header else None,
        bytes=sum(t.nbytes or 0 for t in header.tensors.values()) if header else None,
        bytes_in_whole_modules=sum(header.tensors[n].nbytes or 0 for n in plain) if header and touched else None,
    )


def _ranks(config: Config | None, touched: Footprint | None) -> tuple[int, ...]:
    """Rows of the first LoRA factor of every module; without tensors what the config says."""
    factors = [p["lora_A.weight"] for p in touched.tuned.values() if "lora_A.weight" in p] if touched else []
    rows = {f.shape[0] for f in factors if f.shape}
    rank = config.get("r") if config is not None else None
    return tuple(sorted(rows)) or ((rank,) if isinstance(rank, int) and not isinstance(rank, bool) else ())


def _by_kind(modules: Iterable[str]) -> dict[str, tuple[int, ...]]:
    layers: dict[str, set[int]] = defaultdict(set)
    for module in modules:
        found = _LAYER.search(module)
        layers[module.rpartition(".")[2]] |= {int(found.group(1))} if found and len(found.group(1)) < 10 else set()
    return {kind: tuple(sorted(numbers)) for kind, numbers in sorted(layers.items())}


def overview_json(shown: Sequence[Overview]) -> str:
    """All overviews as JSON."""
    return redacted(json.dumps([asdict(o) for o in shown], indent=2)) + "\n"


def overview(shown: Sequence[Overview], *, color: bool = False) -> str:
    """All overviews as a table; it takes the width of the terminal."""
    import io
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("adapter", "method", "base model", "tuned modules", "whole modules", "token rows", "size"):
        table.add_column(name, overflow="fold", justify="right" if name == "size" else "left")
    root = _common_folder([o.path for o in shown])
    for row in shown:
        table.add_row(*(Text(_cell(cell)) for cell in _row(row, root)))
    stream = io.StringIO()
    width = max(shutil.get_terminal_size((140, 24)).columns, 80)
    Console(file=stream, width=width, force_terminal=color, no_color=not color, highlight=False).print(table)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return "\n".join([f"in {_cell(root)}"] * bool(root) + lines) + "\n"


def _common_folder(paths: Sequence[str]) -> str:
    """The folder that all paths lie in, if they share more than one component; it is said once."""
    root = os.path.commonpath(paths) if len(paths) > 1 and len({os.path.isabs(p) for p in paths}) == 1 else ""
    return root if root.count("/") > 1 else ""


def _row(o: Overview, root: str) -> tuple[str, ...]:
    path = printable(os.path.relpath(o.path, root) if root else o.path)
    if o.format != "PEFT":
        return (path, o.format, "", "", "", "", "")
    rank = f" r={ranges(o.ranks)}" if o.ranks else ""
    tuned = "\n".join(f"{k} in {ranges(v)}" if v else k for k, v in (o.tuned or {}).items())
    tokens = "\n".join(f"{m}: {ranges(t)}" if t else m for m, t in (o.trainable_tokens or {}).items())
    whole = "\n".join(o.modules_to_save)
    return (path, f"{o.peft_type or '?'}{rank}", o.base_model or "", tuned, whole, tokens, _size(o))


def _size(o: Overview) -> str:
    if o.tensors is None or o.bytes is None:
        return "no weights" if o.weights == "missing" else f"weights: {o.weights}"
    share = f"\n{100 * o.bytes_in_whole_modules // o.bytes} % whole" if o.bytes and o.bytes_in_whole_modules else ""
    return f"{size(o.bytes)}\n{counted(o.tensors, 'tensor')}{share}"


def _cell(text: str) -> str:
    return redacted("\n".join(printable(shortened(line, MAX_CELL)) for line in text.split("\n")))


def size(n: int) -> str:
    """Bytes in the largest fitting unit: 1.5 MB."""
    value = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def ranges(numbers: Iterable[int]) -> str:
    """Numbers with runs drawn together: 0-3, 5."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        elif not runs or n != runs[-1][-1]:
            runs.append([n])
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
