"""Fleets as folders: making them with the installed PEFT, packing them into one line."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from bases import build, sites
from damage import Saved, apply
from experts import ELSEWHERE, HARMS, HOMES, harm, make_experts, paths_of, replace_expert
from groups import GROUPS
from recipes import Draw, random_config
from safetensors.torch import load_file, save_file

import peft
from peft import LoraConfig, get_peft_model

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NAMES = ("red", "green", "blue", "de", "fr", "chat", "sql", "v2", "my-adapter", "tone_formal", "Legal", "42")
ODD_NAMES = ("default", "lora", "0", "1", "v1.0", "weight", "base_model", "modules_to_save", "lora_A")
ATTEMPTS = 30


def make_fleet(out: Path, number: int, seed: int, group: str, mix: str) -> bool:
    """Write the fleet ``number`` of a seed; False if no adapter could be made for one of its places."""
    rng = random.Random(f"{seed}/{number}")
    base, wide = rng.choice(list(GROUPS[group])), rng.random() < 1 / 3
    if mix == "usual" and wide:
        mix = "wide"
    folder = out / f"{number:04d}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    draw = Draw(rng, base, mix=mix)
    names = _names(rng, base, rng.choice([2, 2, 2, 3]))
    method, damaged = draw.method(), {}
    if mix == "special" and method in HOMES and rng.random() < 0.8:
        base = rng.choice(HOMES[method])
        draw = Draw(rng, base, mix=mix)
    likely = mix != "operations"  # where adapters that do not load tell nothing, and copies too much
    for position, name in enumerate(names):
        if position and rng.random() < (0.06 if likely else 0):
            shutil.copytree(folder / names[0], folder / name)
        elif not _make(folder / name, _at_home(draw), method):
            shutil.rmtree(folder)
            return False
        if rng.random() < (0.4 if likely else 0.05) and (kind := _damage(folder / name, draw)):
            damaged[name] = kind
    fleet = {"base": base, "adapters": names, "mutations": damaged, "made_with": peft.__version__, "mix": mix}
    (folder / "fleet.json").write_text(json.dumps(fleet))
    return True


def _names(rng: random.Random, base: str, count: int) -> list[str]:
    names = rng.sample(NAMES, count)
    chance = rng.random()
    if chance < 0.12:
        names[rng.randrange(count)] = rng.choice(ODD_NAMES)
    elif chance < 0.24:
        names[rng.randrange(count)] = rng.choice(
            sorted({part for path in sites(base).paths for part in path.split(".")})
        )
    return names if len(set(names)) == count else rng.sample(NAMES, count)


def _make(folder: Path, draw: Draw, shared: str) -> bool:
    """Save one trained adapter; mostly of the method that the fleet shares."""
    rng = draw.rng
    method = shared if rng.random() < (0.97 if draw.mix == "operations" else 0.85) else draw.method()
    for attempt in range(ATTEMPTS):
        if attempt == ATTEMPTS // 2:
            method = "LORA"
        elif draw.mix == "special" and attempt % 4 == 3:
            draw = _elsewhere(draw)
        try:
            config, state = random_config(draw, method), rng.randrange(2**31)
            # PEFT refuses some names of adapters; those folders were renamed after training.
            name = "default" if attempt % 3 == 2 else folder.name
            config = copy.deepcopy(config)
            if method == "XLORA":
                make_experts(folder.parent, config, rng, _expert(draw))
            with contextlib.chdir(folder.parent):
                _train(folder, config, draw.base, name, state)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return True
    return False


def _at_home(draw: Draw) -> Draw:
    """Where an adapter is trained: in the special mix now and then in another base than it is loaded into."""
    return _elsewhere(draw) if draw.mix == "special" and draw.rng.random() < 0.15 else draw


def _elsewhere(draw: Draw) -> Draw:
    return Draw(draw.rng, draw.rng.choice(ELSEWHERE), mix=draw.mix)


def _expert(draw: Draw) -> Callable[[Path, str], None]:
    """Trains a plain LoRA for `draw`'s base, or an adapter of another method."""

    def train(path: Path, method: str) -> None:
        path.parent.mkdir(exist_ok=True)
        plain = Draw(draw.rng, draw.base, mix="usual")
        config = _plain(plain) if method == "PLAIN" else random_config(plain, method)
        _train(path, config, draw.base, "default", draw.rng.randrange(2**31))

    return train


def _plain(draw: Draw) -> Any:
    return LoraConfig(r=2, target_modules=draw.targets(), task_type=draw.task())


def _train(folder: Path, config: Any, base: str, name: str, state: int) -> None:
    work = folder.parent / "work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        model = build(base)
        torch.manual_seed(state)
        model = get_peft_model(model, config, adapter_name=name)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.05)
        model.save_pretrained(str(work))
        saved = work if name == "default" else work / name
        folder.mkdir()
        for file in (CONFIG, WEIGHTS):
            shutil.move(saved / file, folder / file)
        if not load_file(folder / WEIGHTS) and config.peft_type != "XLORA":  # whose files PEFT 0.20 empties
            raise ValueError("nothing was trained")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _damage(folder: Path, draw: Draw) -> str | None:
    rng = draw.rng
    saved = Saved(folder.name, json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS), rng)
    if not saved.tensors:
        return None
    special = draw.mix == "special" and saved.config["peft_type"] in HARMS and rng.random() < 0.75
    if special and rng.random() < 0.25 and replace_expert(folder.parent, saved.config, rng, _expert(draw)):
        return "expert"
    if kind := harm(saved) if special else apply(saved):
        (folder / CONFIG).write_text(json.dumps(saved.config, indent=2, sort_keys=True))
        tensors = {key: value.clone().contiguous() for key, value in saved.tensors.items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return kind


def header(path: Path) -> dict[str, list[Any]]:
    """Tensor -> `[dtype, shape]` of a safetensors file."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entries = json.loads(file.read(length))
    return {key: [entry["dtype"], entry["shape"]] for key, entry in entries.items() if key != "__metadata__"}


def _packed_adapter(folder: Path) -> dict[str, Any]:
    return {"config": json.loads((folder / CONFIG).read_text()), "tensors": header(folder / WEIGHTS)}


def packed(folder: Path) -> dict[str, Any]:
    """A fleet as one line: the base, the adapters' configs and headers, all truths."""
    fleet: dict[str, Any] = json.loads((folder / "fleet.json").read_text())
    adapters = {name: _packed_adapter(folder / name) for name in fleet["adapters"]}
    experts = {path for adapter in adapters.values() for path in paths_of(adapter["config"])}
    if experts:
        fleet["experts"] = {path: _packed_adapter(folder / path) for path in sorted(experts)}
    truths = [json.loads(path.read_text()) for path in folder.glob("truth-*.json")]
    return fleet | {"id": folder.name, "adapters": adapters, "truth": {truth["peft"]: truth for truth in truths}}
