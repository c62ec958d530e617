"""What the installed PEFT does with an adapter: loading it into a fresh base, and one forward pass."""

from __future__ import annotations

import ast
import copy
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from method_bases import batch, build
from method_damage import Damaged, damages
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from random_damage import copy_of, labels
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import peft

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

TEXT = 200  # characters of an error's text
TASKS = ("POLY", "MULTITASK_PROMPT_TUNING")  # methods whose forward pass is told the task of each row
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "U8": torch.uint8,
}
Truth = dict[str, Any]
Keys = tuple[list[str], list[str]]


def said(error: Exception) -> Truth:
    text = re.sub(r"0x[0-9a-f]{6,}", "0x0", " ".join(str(error).split()))
    text = re.sub(r"(?<![\w./])(/[^\s'\"/]+)+/", "", text)  # no folder of the machine
    return {"type": type(error).__name__, "text": text[:TEXT]}


def header(folder: Path, weights: str = WEIGHTS) -> dict[str, tuple[str, tuple[int, ...]]]:
    with safe_open(folder / weights, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in sorted(file.keys())}
        return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}


def outputs(base: str, model: Any, peft_type: str | None = None) -> torch.Tensor:
    inputs = batch(base)
    if peft_type in TASKS:
        inputs["task_ids"] = torch.tensor([0, 1])
    torch.manual_seed(2)
    with torch.no_grad():
        result = model(**inputs)
    found: torch.Tensor = result.logits if hasattr(result, "logits") else result[0]
    return found


@cache
def built(base: str) -> torch.nn.Module:
    return build(base)


@cache
def plain(base: str) -> torch.Tensor:
    return outputs(base, built(base))


def is_same(found: torch.Tensor, other: torch.Tensor) -> bool:
    return found.shape == other.shape and torch.allclose(found, other, rtol=1e-5, atol=1e-6)


@contextmanager
def load_results() -> Iterator[list[Keys]]:
    """Missing and unexpected keys of every state dict that is loaded; PEFT itself forgets some of them later."""
    original = peft.peft_model.set_peft_model_state_dict
    found: list[Keys] = []

    def kept(*args: Any, **more: Any) -> Any:
        result = original(*args, **more)
        found.append((list(result.missing_keys), list(result.unexpected_keys)))
        return result

    peft.peft_model.set_peft_model_state_dict = kept
    try:
        yield found
    finally:
        peft.peft_model.set_peft_model_state_dict = original


def file_key(key: str) -> str:
    return key.replace(".default.", ".").removesuffix(".default")


def coverage(model: Any, result: Keys, file: set[str]) -> Truth:
    """Tensors of the file that reach nothing, and parameters PEFT would save that no tensor filled."""
    try:
        names = {file_key(key) for key in peft.get_peft_model_state_dict(model, **_WITHOUT_EMBEDDINGS)}
    except NotImplementedError:  # a `bias` that PEFT loads and does not save: nobody knows what would be missing
        names = set()
    # The magnitude of DoRA loses its last name on saving.
    missing = {name for key in map(file_key, result[0]) for name in (key, key.removesuffix(".weight")) if name in names}
    unexpected = {file_key(key) for key in result[1]}
    if model.peft_config["default"].is_prompt_learning:  # whose parameters no state dict of the model names
        missing, unexpected = names - file, file - names
    found = {"missing": sorted(missing), "unexpected": sorted(unexpected)}
    return {key: value for key, value in found.items() if value}


_WITHOUT_EMBEDDINGS = {} if peft.__version__.startswith("0.10.") else {"save_embedding_layers": False}


def dropped(caught: list[warnings.WarningMessage], peft_type: str) -> list[str]:
    """Keys of the config that PEFT said it does not know."""
    known = {str(getattr(kind, "value", kind)): made for kind, made in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    found: set[str] = set()
    for one in caught:
        said = re.search(r"Unexpected keyword arguments (\[.*?\]) for class (\w+)", str(one.message))
        if said and peft_type in known and said[2] == known[peft_type].__name__:
            found |= set(ast.literal_eval(said[1]))
    return sorted(found)


def judge(base: str, folder: Path, config: Mapping[str, Any], whole: torch.Tensor | None = None) -> Truth:
    """Only what is not as usual: an adapter that loads whole, runs and changes the output has nothing but `loads`.

    Args:
        whole: The output with the adapter of which this one is a damaged copy.
    """
    kind = str(config.get("peft_type"))
    torch.manual_seed(3)
    with warnings.catch_warnings(record=True) as caught, load_results() as results:
        warnings.simplefilter("always")
        try:
            model = peft.PeftModel.from_pretrained(copy.deepcopy(built(base)), str(folder)).eval()
        except Exception as error:
            truth: Truth = {"loads": False, "error": said(error)}
            if keys := dropped(caught, kind):
                truth["dropped"] = keys
            return truth
        truth = {"loads": True}
        if keys := dropped(caught, kind):
            truth["dropped"] = keys
        try:
            truth |= coverage(model, results[-1], set(header(folder)))
        except Exception as error:
            truth["coverage_error"] = said(error)
        try:
            found = outputs(base, model, kind)
            if is_same(found, plain(base)):
                truth["effective"] = False
            if whole is not None and is_same(found, whole):
                truth["same"] = True
        except Exception as error:
            truth["forward"] = said(error)
    return truth


def output_of(base: str, folder: Path, config: Mapping[str, Any]) -> torch.Tensor | None:
    """The output with an adapter, `None` if there is none."""
    try:
        torch.manual_seed(3)
        model = peft.PeftModel.from_pretrained(copy.deepcopy(built(base)), str(folder)).eval()
        return outputs(base, model, str(config.get("peft_type")))
    except Exception:
        return None


def judge_damages(folder: Path) -> dict[str, Truth]:
    """The same of every damaged copy, with the class of an error instead of its text."""
    made = json.loads((folder / "made.json").read_text())
    config = json.loads((folder / CONFIG).read_text())
    given, drawn = made["given"], "kind" in made
    copies: Iterable[Damaged] = damages(config, header(folder), given)
    if drawn:
        chosen = labels(folder.name, made["kind"], config, header(folder), given)
        copies = [copy_of(label, config, header(folder)) for label in chosen]
    tensors, found = load_file(folder / WEIGHTS), {}
    whole = output_of(made["base"], folder, config)
    with tempfile.TemporaryDirectory() as made_in:
        target = Path(made_in)
        for extra in folder.iterdir():
            if extra.is_dir():
                shutil.copytree(extra, target / extra.name)
        for label, values, shapes in copies:
            (target / CONFIG).write_text(json.dumps(values))
            copies = {}
            for name, (dtype, shape) in shapes.items():
                saved = tensors.get(name)
                fits = saved is not None and tuple(saved.shape) == shape
                copies[name] = saved if fits else torch.zeros(shape, dtype=TYPES[dtype])
            save_file(copies, target / WEIGHTS, metadata={"format": "pt"})
            truth = judge(made["base"], target, values, whole)
            found[label] = {key: value["type"] if isinstance(value, dict) else value for key, value in truth.items()}
    return found
