"""What the installed PEFT makes of operations on several loaded adapters: merging, weighting, mixed batches, swapping.

Of each operation one word: "yes" if the model gives then what it should, "no" if it silently gives something else,
"raises KeyError: ..." if the operation is refused, "forward KeyError" if the pass after it is, and `None` where there
is nothing to compare with. What it should give:

- `merge` (the set is active, `merge_and_unload()`), `merge_names` (the first adapter is active,
  `merge_and_unload(adapter_names=[...])`), `merge_adapter` (the set is active, `merge_adapter()`): what the set gives
  when it is active;
- `cat`, `linear`, `svd` (`add_weighted_adapter` with weights of 1, then `set_adapter`): the same;
- `mixed` and `mixed_last` (a batch with `adapter_names`, while the first or the last adapter is active), `mixed_alone`
  (no others are loaded): in each row what its adapter gives in this model, switched to;
- `hotswap` (one is loaded, the other swapped in): what that gives in a fresh base.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from judge import Bench, Refusal, Truth
from peft.utils.hotswap import hotswap_adapter

import peft
from peft import PeftModel, PeftType

TEXT = 60  # characters of an error's text
WEIGHTED = ("cat", "linear", "svd")
Names = tuple[str, ...]
Expected = torch.Tensor | None


def near(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether two outputs are the same but for the noise of weights that are added in another order."""
    return x.shape == y.shape and bool((x - y).abs().max() <= 1e-5 * y.abs().max().clamp(min=1))


class Operations:
    """One fleet whose adapters are all loaded, in the first order that works; of as many of them as there is one."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.order: Names = ()
        counts = range(len(bench.names), 0, -1)
        for order in itertools.chain.from_iterable(itertools.permutations(bench.names, n) for n in counts):
            try:
                bench.load(*order)
            except Refusal:
                continue
            self.order = order
            break

    def sets(self, least: int) -> list[Names]:
        several = (itertools.combinations(self.order, n) for n in range(least, len(self.order) + 1))
        return list(itertools.chain.from_iterable(several))

    def model(self) -> Any:
        """With all adapters loaded, and the first one active."""
        model = self.bench.load(*self.order)
        model.set_adapter(self.order[0])
        return model

    def active(self, names: Names) -> Expected:
        model = self.model()
        try:
            model.base_model.set_adapter(list(names))
            return self.bench.output(model)
        except Exception:
            return None

    def word(self, do: Callable[[], Any], expected: Expected, **given: Any) -> str | None:
        """What an operation, which returns the model, and a pass after it come to."""
        try:
            model = do()
        except Exception as error:
            return "raises " + self.said(error)
        try:
            with torch.no_grad():
                result = model(**(self.bench.inputs | given))
        except Exception as error:
            return "forward " + type(error).__name__
        got = result.logits if hasattr(result, "logits") else result[0]
        return None if expected is None else ("yes" if near(got, expected) else "no")

    def said(self, error: Exception) -> str:
        said = self.bench.said(error)
        return f"{said['type']}: {said['text'][:TEXT]}"

    # ------------------------------------------------------------------------------------------- merging

    def merge(self, names: Names) -> Any:
        model = self.model()
        model.base_model.set_adapter(list(names))
        return model.merge_and_unload()

    def merge_adapter(self, names: Names) -> Any:
        model = self.model()
        model.base_model.set_adapter(list(names))
        model.merge_adapter()
        return model

    def merge_names(self, names: Names) -> Any:
        return self.model().merge_and_unload(adapter_names=list(names))

    def weighted(self, names: Names, kind: str) -> Any:
        model = self.model()
        given = {} if model.peft_type == PeftType.IA3 else {"combination_type": kind}  # which has but one way
        model.add_weighted_adapter(list(names), [1.0] * len(names), "weighted", **given)
        model.set_adapter("weighted")
        return model

    # ------------------------------------------------------------------------------------------- batches

    def mixed_alone(self, names: Names) -> str | None:
        try:
            return self.mixed(names, names[0], self.bench.load(*names))
        except Refusal:
            return None

    def mixed(self, names: Names, active: str, model: Any) -> str | None:
        bench = self.bench
        rows = {key: value[:1].repeat(len(names), *[1] * (value.ndim - 1)) for key, value in bench.inputs.items()}
        own = []
        for name in names:
            model.set_adapter(name)
            try:
                with torch.no_grad():
                    result = model(**rows)
            except Exception:
                return None
            own.append(result.logits if hasattr(result, "logits") else result[0])
        model.set_adapter(active)
        expected = torch.stack([output[row] for row, output in enumerate(own)])
        try:
            with torch.no_grad():
                result = model(**rows, adapter_names=list(names))
        except Exception as error:
            return "raises " + self.said(error)
        return "yes" if near(result.logits if hasattr(result, "logits") else result[0], expected) else "no"

    def hotswap(self, first: str, later: str, expected: Expected) -> str | None:
        try:
            model = self.bench.load(first)
        except Refusal:
            return None

        def do() -> PeftModel:
            hotswap_adapter(model, str(self.bench.folder / later), adapter_name=first, torch_device="cpu")
            return model

        return self.word(do, expected)


def operate_fleet(folder: Path) -> Truth:
    """All operations on all sets, in the first order in which all load."""
    bench = Bench(folder)
    run = Operations(bench)
    truth: Truth = {"peft": peft.__version__, "transformers": transformers.__version__, "order": ">".join(run.order)}
    expected = {names: run.active(names) for names in run.sets(1)}
    for name in ("merge", "merge_adapter", "merge_names"):
        do = getattr(run, name)
        truth[name] = {"+".join(s): run.word(lambda s=s, do=do: do(s), expected[s]) for s in run.sets(1)}
    for kind in WEIGHTED:
        truth[kind] = {
            "+".join(s): run.word(lambda s=s, kind=kind: run.weighted(s, kind), expected[s]) for s in run.sets(2)
        }
    truth["mixed"] = {"+".join(s): run.mixed(s, run.order[0], run.model()) for s in run.sets(2)}
    truth["mixed_last"] = {"+".join(s): run.mixed(s, run.order[-1], run.model()) for s in run.sets(2)}
    truth["mixed_alone"] = {"+".join(s): run.mixed_alone(s) for s in run.sets(2)}
    alone = {}
    for name in bench.names:
        try:
            alone[name] = bench.output(bench.load(name))
        except Exception:
            alone[name] = None
    pairs = itertools.permutations(bench.names, 2)
    truth["hotswap"] = {f"{first}>{later}": run.hotswap(first, later, alone[later]) for first, later in pairs}
    return truth
