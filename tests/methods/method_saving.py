"""Making the adapters: a config from a recipe, PEFT around a base, noise on what it trains, saved."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from method_bases import batch, build
from method_recipes import EXPERTS, OLD, RECIPES, USUAL, Fields

import peft

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

PARTS = {  # fields of LoRA that hold a config of their own
    "eva_config": "EvaConfig",
    "corda_config": "CordaConfig",
    "lora_ga_config": "LoraGAConfig",
    "arrow_config": "ArrowConfig",
    "use_bdlora": "BdLoraConfig",
    "monteclora_config": "MontecloraConfig",
    "velora_config": "VeloraConfig",
    "kasa_config": "KasaConfig",
    "runtime_config": "LoraRuntimeConfig",
}
NEWEST = "0.21.2"
UNSAID = ("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision")


@dataclass(frozen=True, slots=True)
class Recipe:
    """An adapter to make: the class of its config, the base, what is given to the class."""

    kind: str
    base: str
    fields: Fields


def wanted(release: str) -> Iterator[tuple[str, Recipe]]:
    """Names and recipes of what a release makes; names of old ones end with it."""
    kinds = RECIPES if release == NEWEST else OLD[release]
    end = "" if release == NEWEST else f"@{release}"
    for kind, variants in kinds.items():
        for variant, (base, fields) in variants.items():
            yield f"{kind.lower()}-{variant}{end}", Recipe(kind, base, fields)


def config_of(recipe: Recipe) -> Any:
    made = getattr(peft, f"{recipe.kind}Config")
    known = {f.name for f in dataclasses.fields(made)}
    given = {key: value for key, value in (USUAL | recipe.fields).items() if key in known}
    if recipe.kind == "XLora":
        given["adapters"] = dict(EXPERTS)
    for key, kind in PARTS.items():
        if given.get(key):
            module = getattr(peft, kind, None) or getattr(peft.tuners.lora.config, kind)
            given[key] = module(**given[key])
    return made(**given)


def given(config: dict[str, Any], kind: type) -> list[str]:
    """Keys of a saved config whose values are not the defaults of its class."""
    defaults = {}
    for field in dataclasses.fields(kind):
        value = field.default
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        defaults[field.name] = json.loads(json.dumps(value, default=vars))
    return sorted(
        key for key, value in config.items() if key not in UNSAID and (key not in defaults or value != defaults[key])
    )


def prepared(recipe: Recipe, config: Any, base: torch.nn.Module) -> None:
    """What the two initializations need that look at data."""
    if recipe.fields.get("init_lora_weights") == "corda":
        from peft.tuners.lora.corda import preprocess_corda

        preprocess_corda(base, config, run_model=lambda: base(batch(recipe.base)["input_ids"][:1]))
    if recipe.fields.get("init_lora_weights") == "lora_ga":
        from peft.tuners.lora.loraga import preprocess_loraga

        def step() -> None:
            base(**batch(recipe.base), labels=batch(recipe.base)["input_ids"]).loss.backward()

        preprocess_loraga(base, config, step)


def prune(model: Any) -> None:
    """What AdaLoRA's last step of training leaves: which singular values are kept, unequally many of each matrix."""
    singular = [(name, p) for name, p in model.base_model.model.named_parameters() if ".lora_E." in name]
    pattern = {name: [row > i % 3 for row in range(len(p))] for i, (name, p) in enumerate(singular)}
    model.peft_config["default"].rank_pattern = pattern


def router(base: torch.nn.Module, config: Any) -> Any:
    """Arrow's adapter among the ones it chooses from."""
    from peft.tuners.lora import create_arrow_model

    return create_arrow_model(base, list(EXPERTS.values()), config.arrow_config)


def save(folder: Path, recipe: Recipe) -> None:
    folder = folder.resolve()
    os.chdir(folder.parent)
    torch.manual_seed(1)
    base, config = build(recipe.base), config_of(recipe)
    prepared(recipe, config, base)
    model = router(base, config) if recipe.fields.get("arrow_config") else peft.get_peft_model(base, config)
    if recipe.kind == "AdaLora" and "tfinal" in recipe.fields:
        prune(model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder, selected_adapters=[model.active_adapter])
    if (folder / model.active_adapter).is_dir():
        shutil.copytree(folder / model.active_adapter, folder, dirs_exist_ok=True)
        shutil.rmtree(folder / model.active_adapter)
    written = json.loads((folder / "adapter_config.json").read_text())
    made = {"base": recipe.base, "made_with": peft.__version__, "given": given(written, type(config))}
    (folder / "made.json").write_text(json.dumps(made))
