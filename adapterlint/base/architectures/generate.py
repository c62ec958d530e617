"""Write the table of architectures from transformers itself; nothing is downloaded and no weight is made.

Once in an environment of each release, from the root of the checkout, then once for all of them:

    python -m adapterlint.base.architectures.generate release 5.23.0.jsonl
    python -m adapterlint.base.architectures.generate pack 5.23.0.jsonl 4.56.2.jsonl

Some of the lines only are learnt anew by naming model types or classes; the others come out of the table:

    python -m adapterlint.base.architectures.generate unpack FOLDER
    python -m adapterlint.base.architectures.generate release 5.23.0-more.jsonl lfm2 BambaForCausalLM
    python -m adapterlint.base.architectures.generate pack FOLDER/5.23.0.jsonl FOLDER/4.56.2.jsonl 5.23.0-more.jsonl

Each class is built with its default config, with one reduced in its layers, and with that after each change of one
value (`observe`); what the values explain becomes a template (`learn`, `merge`).
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from adapterlint.base.architectures.pack import pack, unpack


def release(out: Path, only: list[str], shard: tuple[int, int] = (0, 1)) -> None:
    """Write a line a class that the installed transformers has."""
    from adapterlint.base.architectures import observe
    from adapterlint.base.architectures.entry import entry_of
    from adapterlint.base.architectures.priors import Priors
    from adapterlint.base.architectures.subject import Subject

    observe.quicken()
    todo = [c for c in observe.classes() if not only or c[0] in only or c[1] in only]
    types = sorted({t for t, _ in todo})
    todo = [c for c in todo if types.index(c[0]) % shard[1] == shard[0]]
    todo.sort(key=lambda c: observe.is_composite(c[0]))
    with out.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"tasks": observe.tasks(), "activations": observe.activations()}) + "\n")
        priors = Priors()
        for n, (model_type, name) in enumerate(todo):
            started = time.time()
            try:
                subject = Subject(model_type, name)
                subject.explore(priors.of(model_type))
                line: dict[str, Any] = entry_of(subject)
                priors.add(model_type, subject.influential)
            except Exception as error:
                line = {"c": name, "m": model_type, "error": f"{type(error).__name__}: {str(error).strip()[:300]}"}
                if "-v" in sys.argv:
                    traceback.print_exc()
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            builds = 0 if "error" in line else len(subject.builds)
            spent = f"{builds} builds in {time.time() - started:.1f} s"
            sys.stderr.write(f"{n + 1}/{len(todo)} {model_type} {name}: {line.get('error', spent)[:150]}\n")


if __name__ == "__main__":
    command, *arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    if command == "release":
        shards = [a for a in arguments[1:] if "/" in a]
        only = [a for a in arguments[1:] if "/" not in a]
        k, n = map(int, shards[0].split("/")) if shards else (0, 1)
        release(Path(arguments[0]), only, (k, n))
    elif command == "unpack":
        sys.stderr.write(" ".join(map(str, unpack(Path(arguments[0])))) + "\n")
    elif command == "pack":
        sys.stderr.write(pack([Path(a) for a in arguments], Path(__file__).parent) + "\n")
