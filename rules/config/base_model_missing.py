"""CFG151."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Config, Finding, Severity, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.methods import METHODS
from adapterlint.peft.weights_files import is_recipe


@rule(
    "CFG151",
    Severity.INFO,
    since="0.1",
    bad=(
        {"base_model_name_or_path": None},
        {"base_model_name_or_path": ""},
        {"base_model_name_or_path": DROP},
        {"base_model_name_or_path": ["acme/tiny-llama"]},
    ),
    good={"base_model_name_or_path": "acme/tiny-llama"},
    source="peft/auto.py, _BaseAutoPeftModel.from_pretrained; transformers, find_adapter_config_file",
)
def base_model_missing(config: Config, adapter: Adapter) -> Iterator[Finding]:
    """The config does not name its base model.

    `PeftModel.from_pretrained(base, folder)` does not need the name. `AutoPeftModel`,
    `AutoModel.from_pretrained(folder)` of transformers, the Hub's model tree and tools that serve or merge adapters
    look for the base there: `null` is taken for a repository called `None`, an empty name ends in an `OSError`,
    anything but a string in a `TypeError`. PEFT leaves the name empty for models that were not loaded by one.

    Set `base_model_name_or_path` to the id of the base on the Hub.
    """
    if config.base_model is not None or config.peft_type not in METHODS or _is_own_class(config) or is_recipe(adapter):
        return
    key = "base_model_name_or_path"
    value = config.get(key)
    what = "is missing" if key not in config else "is empty" if value == "" else f"is {shown(value)}"
    yield Finding(
        f"`{key}` {what}: `AutoPeftModel` and other tools that look the base up there cannot load the adapter",
        at=config.at(key) if key in config else config.at(),
        help="Set it to the id of the base model on the Hub, such as `org/name`.",
    )


def _is_own_class(config: Config) -> bool:
    """Whether the base is a class of somebody's own, which no name would find."""
    library = config.mapping("auto_mapping").get("parent_library")
    return isinstance(library, str) and library.partition(".")[0] not in ("transformers", "diffusers")
