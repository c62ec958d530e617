"""Adapters of every method, saved by real PEFT, and what every release of PEFT does with them: see README.md.

python make_adapters.py make OUT [NAME ...]     a folder for each adapter, with the installed PEFT
python make_adapters.py judge OUT               OUT/<adapter>/truth-<release>.json: what the installed PEFT does
python make_adapters.py damage OUT              OUT/<adapter>/damages.json: what it does with each damaged copy
python make_adapters.py pack OUT                adapters.jsonl.gz and bases.jsonl.gz, in this folder
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FIXED = {"PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": "1"}  # texts of errors list sets; nothing is asked of the Hub


def make(args: argparse.Namespace) -> None:
    from method_saving import save, wanted

    import peft

    made, failed = 0, 0
    for name, recipe in wanted(peft.__version__):
        if args.names and name not in args.names:
            continue
        try:
            save(args.out / name, recipe)
            made += 1
        except Exception as error:
            failed += 1
            print(f"{name}: {type(error).__name__}: {error}"[:300])
            if args.names:
                traceback.print_exc()
    print(f"{made} made, {failed} failed, PEFT {peft.__version__}")


def make_random(args: argparse.Namespace) -> None:
    """Of each that is wanted, the first recipe that PEFT can build and save."""
    from method_saving import Recipe, save
    from random_recipes import random_recipes

    failed = Counter[str]()
    for name, tried in random_recipes(args.random):
        for recipe in tried:
            try:
                save(args.out / name, Recipe(*recipe))
            except Exception as error:
                failed[f"{recipe[0]} {type(error).__name__}: {error}"[:120]] += 1
                shutil.rmtree(args.out / name, ignore_errors=True)
                continue
            made = json.loads((args.out / name / "made.json").read_text())
            (args.out / name / "made.json").write_text(json.dumps(made | {"kind": recipe[0]}))
            break
        else:
            print(f"{name}: none of {len(tried)}")
    print(*(f"{count} {text}" for text, count in failed.most_common()), sep="\n")


def folders(args: argparse.Namespace) -> list[Path]:
    os.chdir(args.out)  # the experts of X-LoRA are named as folders beside it
    found = [path.parent for path in sorted(Path().glob("*/made.json"))]
    return [folder for folder in found if not args.names or folder.name in args.names]


def judge(args: argparse.Namespace) -> None:
    from method_judge import CONFIG, judge

    import peft

    for folder in folders(args):
        made, config = (json.loads((folder / name).read_text()) for name in ("made.json", CONFIG))
        truth = json.dumps(judge(made["base"], folder, config), sort_keys=True)
        (folder / f"truth-{peft.__version__}.json").write_text(truth)


def damage(args: argparse.Namespace) -> None:
    from method_judge import judge_damages

    for folder in folders(args):
        target = folder / "damages.json"
        if "@" not in folder.name and (args.names or not target.exists()):
            target.write_text(json.dumps(judge_damages(folder), sort_keys=True))


def write_lines(target: Path, lines: Iterable[dict[str, Any]]) -> None:
    """JSON lines, compressed, the same bytes for the same lines."""
    text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines)
    target.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{target.name}: {target.stat().st_size} bytes")


def line_of(folder: Path) -> dict[str, Any]:
    from method_judge import CONFIG, header

    made = json.loads((folder / "made.json").read_text())
    truths = {path.stem.partition("-")[2]: json.loads(path.read_text()) for path in folder.glob("truth-*.json")}
    config = json.loads((folder / CONFIG).read_text())
    return made | {"name": folder.name, "config": config, "tensors": header(folder), "truth": truths}


def pack_random(args: argparse.Namespace) -> None:
    lines = []
    for folder in folders(args):
        if "@" not in folder.name:
            lines.append(line_of(folder) | {"damages": json.loads((folder / "damages.json").read_text())})
    write_lines(Path(__file__).resolve().parent / "random.jsonl.gz", lines)


def pack(args: argparse.Namespace) -> None:
    from method_bases import CLASSES, CONFIGS, build
    from method_judge import header
    from safetensors.torch import save_file

    here = Path(__file__).resolve().parent
    adapters, damaged = [], []
    for folder in folders(args):
        adapters.append(line_of(folder))
        if (folder / "damages.json").exists():
            damaged.append({"name": folder.name, "damages": json.loads((folder / "damages.json").read_text())})
    write_lines(here / "adapters.jsonl.gz", adapters)
    write_lines(here / "damages.jsonl.gz", damaged)
    bases = []
    for name in [*CLASSES, *CONFIGS]:
        with tempfile.TemporaryDirectory() as made_in:
            model = build(name)
            if name in CLASSES:
                save_file(model.state_dict(), Path(made_in) / "model.safetensors")
                config = None
            else:
                model.save_pretrained(made_in)
                config = json.loads(Path(made_in, "config.json").read_text())
            bases.append({"name": name, "config": config, "tensors": header(Path(made_in), "model.safetensors")})
    write_lines(here / "bases.jsonl.gz", bases)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=["make", "judge", "damage", "pack"])
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument(
        "--random", type=int, metavar="SEED", help="adapters that are drawn, instead of the listed ones"
    )
    args = parser.parse_args()
    drawn = {"make": make_random, "pack": pack_random} if args.random is not None else {}
    ({"make": make, "judge": judge, "damage": damage, "pack": pack} | drawn)[args.do](args)


if __name__ == "__main__":
    if any(os.environ.get(key) != value for key, value in FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | FIXED)
    main()
