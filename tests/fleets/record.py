"""Random adapter fleets on tiny bases, and what the installed PEFT does with them: see README.md.

python record.py make OUT --count 100 --seed 1 [--first 0]     write fleets as folders, with the installed PEFT
python record.py judge OUT [--share 0/2]                       write OUT/NNNN/truth-<release>.json beside each
python record.py operate OUT                                   the same of operations on several adapters
python record.py pack OUT fleets.jsonl.gz                      one JSON line a fleet
python record.py bases bases.jsonl.gz                          one JSON line a base: config and headers
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

FIXED = {"PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": "1"}  # texts of errors list sets; nothing is asked of the Hub


def write_lines(target: Path, lines: list[dict[str, Any]]) -> None:
    """JSON lines, compressed, the same bytes for the same lines."""
    text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines)
    target.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def folders_of(out: Path) -> list[Path]:
    return sorted(path.parent for path in out.glob("*/fleet.json"))


def make(args: argparse.Namespace) -> None:
    from fleet import make_fleet

    numbers = range(args.first, args.first + args.count)
    made = [make_fleet(args.out.resolve(), number, args.seed, args.group, args.mix) for number in numbers]
    print(f"{sum(made)} of {len(made)} fleets made")


def judge(args: argparse.Namespace) -> None:
    import transformers
    from judge import judge_fleet
    from operate import operate_fleet

    import peft

    ask = operate_fleet if args.do == "operate" else judge_fleet

    part, parts = map(int, args.share.split("/"))
    failed: Counter[str] = Counter()
    done = 0
    for folder in folders_of(args.out)[part::parts]:
        target = folder / f"truth-{peft.__version__}.json"
        if target.exists() and not args.again:
            continue
        try:
            truth = json.dumps(ask(folder), sort_keys=True)
        except Exception as error:  # what the procedure does not foresee leaves the fleet without a truth
            failed[f"{type(error).__name__}: {error}"[:160]] += 1
            print(f"{folder.name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
            continue
        if args.again and target.exists() and target.read_text() != truth:
            print(f"{folder.name}: another truth than before", file=sys.stderr)
        target.write_text(truth)
        done += 1
    print(f"{done} judged by PEFT {peft.__version__}, transformers {transformers.__version__}; failed: {dict(failed)}")


def pack(args: argparse.Namespace) -> None:
    from fleet import packed

    lines = [packed(folder) for folder in folders_of(args.out)]
    releases: Counter[str] = Counter()  # of each base, which may be of one release of transformers alone
    for line in lines:
        releases[line["base"]] = max(releases[line["base"]], len(line["truth"]))
    kept = [line for line in lines if len(line["truth"]) == releases[line["base"]] > 0]
    write_lines(args.target, kept)
    most = max(releases.values())
    print(f"{len(kept)} of {len(lines)} fleets packed, up to {most} releases, {args.target.stat().st_size} bytes")


def bases(args: argparse.Namespace) -> None:
    from bases import build
    from fleet import header
    from groups import GROUPS

    lines = []
    for name in GROUPS[args.group]:
        with tempfile.TemporaryDirectory() as folder:
            build(name).save_pretrained(folder)
            config = json.loads(Path(folder, "config.json").read_text())
            lines.append({"name": name, "config": config, "tensors": header(Path(folder, "model.safetensors"))})
    write_lines(args.out, lines)
    print(f"{len(lines)} bases packed, {args.out.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=["make", "judge", "operate", "pack", "bases"])
    parser.add_argument("out", type=Path)
    parser.add_argument("target", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first fleet")
    parser.add_argument("--group", default="first", help="which bases: those of a table in `groups`")
    parser.add_argument(
        "--mix", default="usual", help="usual (one in three wide), rare, special or operations: which adapters"
    )
    parser.add_argument("--share", default="0/1", help="judge every N-th fleet, from this one on: 1/2")
    parser.add_argument("--again", action="store_true", help="judge again, and say which truths differ")
    args = parser.parse_args()
    {"make": make, "judge": judge, "operate": judge, "pack": pack, "bases": bases}[args.do](args)


if __name__ == "__main__":
    if any(os.environ.get(key) != value for key, value in FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | FIXED)
    main()
