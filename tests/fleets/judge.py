"""What the installed PEFT does with a fleet: alone, in every order, several at once.

Every model that is asked starts from a base built anew, so that a truth depends on nothing but the files.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from bases import batch, build
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper, ModulesToSaveWrapper, TrainableTokensWrapper
from peft.utils.save_and_load import get_peft_model_state_dict, load_peft_weights, set_peft_model_state_dict

import peft
from peft import PeftModel

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

TEXT = 200  # characters of an error's text
PREFIX = "base_model.model."
Truth = dict[str, Any]


class Refusal(Exception):
    """An adapter that PEFT does not load."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(name)
        self.name, self.error = name, error


class Bench:
    """One fleet under test: its folder, its base, and what the base and each adapter alone give."""

    def __init__(self, folder: Path) -> None:
        fleet = json.loads((folder / "fleet.json").read_text())
        self.folder, self.base = folder.resolve(), fleet["base"]
        self.names: list[str] = fleet["adapters"]
        self.inputs = batch(self.base)
        plain = build(self.base)
        self.keys = set(plain.state_dict())
        self.parts = {part for path, _ in plain.named_modules() for part in path.split(".")}
        self.plain = self.output(plain)
        self.alone: dict[str, torch.Tensor] = {}

    def load(self, *names: str) -> Any:
        """A fresh base with the adapters loaded in order; raises `Refusal` at the first that is not."""
        model: Any = None
        for name in names:
            path = self.folder / name
            try:
                if model is None:
                    model = PeftModel.from_pretrained(build(self.base), path, adapter_name=name)
                else:
                    model.load_adapter(path, adapter_name=name)
            except Exception as error:
                raise Refusal(name, error) from error
        return model

    def said(self, error: Exception) -> Truth:
        text = re.sub(r"0x[0-9a-f]{6,}", "0x0", str(error).replace(f"{self.folder}/", ""))
        return {"type": type(error).__name__, "text": text[:TEXT]}

    def output(self, model: Any) -> torch.Tensor:
        with torch.no_grad():
            result = model(**self.inputs)
        found: torch.Tensor = result.logits if hasattr(result, "logits") else result[0]
        return found

    def compare(self, model: Any, expected: torch.Tensor | None) -> Any:
        """ "yes" or "no" for the expected output, the error of the forward pass, "unknown" without expectation."""
        try:
            got = self.output(model)
        except Exception as error:
            return self.said(error)
        return "unknown" if expected is None else ("yes" if same(got, expected) else "no")


def same(x: torch.Tensor, y: torch.Tensor) -> bool:
    return x.shape == y.shape and torch.allclose(x, y, rtol=1e-5, atol=1e-6)


def modules_of(model: Any) -> list[tuple[str, Any]]:
    return list(model.get_base_model().named_modules(remove_duplicate=False))


def footprint(model: Any) -> Truth:
    """Modules that are saved whole, token rows of each embedding, modules that a method tunes."""
    whole, tokens, tuned = [], {}, []
    for path, module in modules_of(model):
        if isinstance(module, ModulesToSaveWrapper):
            whole.append(path)
        elif isinstance(module, TrainableTokensWrapper):
            tokens[path] = sorted(next(iter(module.token_adapter.token_indices.values())))
        elif path.endswith("token_adapter"):
            continue
        elif type(module).__name__ == "TrainableTokensLayer":
            tokens[path] = sorted(next(iter(module.token_indices.values())))
        elif isinstance(module, BaseTunerLayer):
            tuned.append(path)
    return {"modules_to_save": sorted(whole), "trainable_tokens": tokens, "tuned": sorted(tuned)}


def auxiliary(model: Any) -> dict[str, list[str]]:
    """Who is active at each auxiliary module."""
    state = {}
    for path, module in modules_of(model):
        if isinstance(module, AuxiliaryTrainingWrapper):
            active = module.active_adapters
            state[path] = [active] if isinstance(active, str) else list(active)
    return state


def coverage(bench: Bench, model: Any, name: str) -> Truth:
    """Load the weights of the loaded adapter again: which reach no parameter, which parameters get none.

    Missing are only parameters that PEFT would save. Prompt learning has no state dict to ask. Nothing is said of an
    adapter whose name begins a part of a module's path: its file keys cannot be told from the model's, and up to 0.17
    PEFT itself takes `.de` out of `.decoder`.
    """
    if model.peft_config[name].is_prompt_learning or any(part.startswith(name) for part in bench.parts):
        return {}

    def file_key(key: str) -> str:
        return key.replace(f".{name}.", ".").removesuffix(f".{name}")

    weights = load_peft_weights(str(bench.folder / name), device="cpu")
    try:
        result = set_peft_model_state_dict(model, dict(weights), adapter_name=name)
        savable = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
        unexpected, missing = ({file_key(k) for k in keys} for keys in (result.unexpected_keys, result.missing_keys))
    except Exception as error:
        return {"coverage_error": bench.said(error)}
    return {
        "unexpected": sorted(unexpected),
        "missing": sorted(missing & set(savable)),
        "base_keys": sorted(key for key in weights if key.removeprefix(PREFIX) in bench.keys),
    }


def judge_alone(bench: Bench, name: str) -> Truth:
    try:
        model = bench.load(name)
    except Refusal as refusal:
        return {"loads": False, "error": bench.said(refusal.error)}
    truth: Truth = {"loads": True, "error": None, "forward": None, "effective": None}
    try:
        bench.alone[name] = bench.output(model)
        truth["effective"] = not same(bench.alone[name], bench.plain)
    except Exception as error:
        truth["forward"] = bench.said(error)
    return truth | footprint(model) | coverage(bench, model, name)


def judge_order(bench: Bench, order: tuple[str, ...]) -> tuple[Truth, Truth | None]:
    """What an order of loading gives, and what activating several of them after it gives (None if one is refused)."""
    try:
        model = bench.load(*order)
    except Refusal as refusal:
        return {"refused": refusal.name, "error": bench.said(refusal.error)}, None
    truth: Truth = {"refused": None, "error": None, "auxiliary": auxiliary(model), "faithful": {}}
    for name in order:
        try:
            model.set_adapter(name)
        except Exception as error:
            truth["faithful"][name] = bench.said(error)
        else:
            truth["faithful"][name] = bench.compare(model, bench.alone.get(name))
    try:
        with model.disable_adapter():
            truth["base"] = bench.compare(model, bench.plain)
    except Exception as error:
        truth["base"] = bench.said(error)
    model.set_adapter(order[0])
    sets = itertools.chain.from_iterable(itertools.combinations(order, n) for n in range(2, len(order) + 1))
    return truth, {"+".join(chosen): activate(bench, model, chosen) for chosen in sets}


def activate(bench: Bench, model: Any, chosen: tuple[str, ...]) -> Truth:
    try:
        model.base_model.set_adapter(list(chosen))
        state = auxiliary(model)
    except Exception as error:
        return {"error": bench.said(error)}
    forward = bench.compare(model, None)
    return {"error": None, "auxiliary": state, "forward": None if forward == "unknown" else forward}


def judge_fleet(folder: Path) -> Truth:
    bench = Bench(folder)
    with contextlib.chdir(folder):  # experts are named by paths
        return _judged(bench)


def _judged(bench: Bench) -> Truth:
    truth: Truth = {"peft": peft.__version__, "transformers": transformers.__version__, "orders": {}, "active": {}}
    truth["alone"] = {name: judge_alone(bench, name) for name in bench.names}
    for order in itertools.permutations(bench.names):
        key = ">".join(order)
        truth["orders"][key], active = judge_order(bench, order)
        if active is not None:
            truth["active"][key] = active
    return truth
