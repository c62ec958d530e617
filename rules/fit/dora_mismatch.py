"""FIT102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, Patch, Severity, listed, rule
from adapterlint.lint.example import DROP, HIDDEN, LAYERS
from adapterlint.lint.tensor_faults import MAGNITUDES, WITH_MAGNITUDES
from adapterlint.lint.tensor_sizes import refused_keys
from adapterlint.words import counted

_EXAMPLE = {
    f"base_model.model.model.layers.{layer}.self_attn.{module}.lora_magnitude_vector": ("F32", (HIDDEN,))
    for layer in range(LAYERS)
    for module in ("q_proj", "v_proj")
}


@rule(
    "FIT102",
    Severity.WARNING,
    since="0.1",
    bad=(
        {"use_dora": True},
        Patch({}, _EXAMPLE),
        Patch({"use_dora": DROP}, _EXAMPLE, rename=("magnitude_vector", "magnitude_vector.weight")),
    ),
    good=Patch({"use_dora": True}, _EXAMPLE),
    source="peft/tuners/lora/variants.py, DoraLinearVariant.init; peft/tuners/lora/model.py",
    types=("LORA",),
)
def dora_mismatch(config: Config, footprint: Footprint) -> Iterator[Finding]:
    """`use_dora` says one thing, the tensors another.

    With `use_dora: true` and no magnitude vectors PEFT builds DoRA layers and takes the norms of the base's weights for
    the magnitudes; what was trained as plain LoRA, or with magnitudes of its own, gives another output. Only
    `PeftModel.from_pretrained` warns (`Found missing adapter keys`, from 0.14 on), `load_adapter` does not. With
    `use_dora: false` and magnitude vectors in the file the trained magnitudes are dropped without a word.

    Set `use_dora` to what the adapter was trained with. Magnitudes that are missing cannot be restored.
    """
    flag = config.get("use_dora", False)
    found = any(name in footprint.shapes for name in MAGNITUDES)
    if flag is True and "use_dora" in refused_keys(config):
        return
    if flag is True:
        dropped = footprint.untargeted
        pairs = [m for m, p in footprint.tuned.items() if not p.keys().isdisjoint(WITH_MAGNITUDES) and m not in dropped]
        missing = [m for m in pairs if not any(name in footprint.tuned[m] for name in MAGNITUDES)]
        if not missing:
            return
        where = f"{listed(missing, word='modules')} without one" if found else "the file has none"
        yield Finding(
            f"`use_dora` is true, so every module has a magnitude vector, but {where}",
            at=config.at("use_dora"),
            help=(
                "Find the tensors that are missing: in a DoRA adapter each module has a `lora_magnitude_vector`."
                if found
                else "Set `use_dora` to false if it was trained as plain LoRA; else the file lacks trained tensors."
            ),
        )
    elif flag in (False, None) and found:
        modules = sum(any(name in p for name in MAGNITUDES) for p in footprint.tuned.values())
        missing_key = "missing" if "use_dora" not in config else "false"
        yield Finding(
            f"`use_dora` is {missing_key}, but {counted(modules, 'module')} of the file have magnitude vectors",
            at=config.at("use_dora"),
            help="Set `use_dora` to true.",
        )
