"""FIT113."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    ModuleTree,
    Patch,
    Severity,
    WeightsHeader,
    listed,
    rule,
    shown,
)
from adapterlint.lint.example import DROP, HIDDEN
from adapterlint.lint.tensor_sizes import wrong_sizes
from adapterlint.peft.methods.misshapen import Misshapen
from adapterlint.words import counted

_KEPT = ("base_model_name_or_path", "inference_mode", "revision", "task_type", "auto_mapping", "peft_type")
_EXAMPLE = Patch()
_TUNING = {key: DROP for key in _EXAMPLE.new_config() if key not in _KEPT} | {
    "peft_type": "PROMPT_TUNING",
    "num_virtual_tokens": 20,
    "num_transformer_submodules": 1,
    "num_attention_heads": 4,
    "num_layers": 2,
    "token_dim": HIDDEN,
}
_EMBEDDINGS: dict[str, Any] = {"*": DROP, "prompt_embeddings": ("F32", (20, HIDDEN))}
_Q = "base_model.model.model.layers.0.self_attn.q_proj."


@rule(
    "FIT113",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(_TUNING | {"num_virtual_tokens": 10}, _EMBEDDINGS),
        Patch(_TUNING | {"num_transformer_submodules": 2}, _EMBEDDINGS),
        Patch(_TUNING | {"token_dim": 32}, _EMBEDDINGS),
        Patch(tensors={f"{_Q}lora_B.weight": ("F32", (HIDDEN, 4))}),
        Patch(tensors={f"{_Q}lora_A.weight": ("F32", (HIDDEN, 8))}, base={}),
    ),
    good=(Patch(_TUNING, _EMBEDDINGS), Patch(base={})),
    source="the config.py and layer.py of each method; torch refuses the shape in load_state_dict",
)
def size_mismatch(
    config: Config,
    header: WeightsHeader,
    footprint: Footprint,
    base: ModuleTree | None,
    simulation: AdapterSimulation | None,
) -> Iterator[Finding]:
    """A tensor is not of the size that the config gives it.

    PEFT builds parameters of the size that the config gives (a rank, the number of virtual tokens, of frequencies, of
    vectors, a block size), then torch refuses the tensors: `RuntimeError: Error(s) in loading state_dict for ...: size
    mismatch for ...`. Which keys these are depends on the PEFT type. Where all tensors of a module agree on another
    rank, that is the matter of `rank-mismatch`. A transposed tensor, as other libraries store it, shows up here as
    well, and one that does not fit the others of its module. A few PEFT takes as they are, and the adapter gives
    another output: numbers of VB-LoRA for more places than the file has.

    Set the key to the size of the tensors; if it is right, or fits others, save the adapter again, or transpose what
    stands the wrong way round.
    """
    groups: dict[object, list[Misshapen]] = {}
    for one in wrong_sizes(config, footprint, base, simulation):
        if one.turned:
            key: object = "turned"
        else:
            key = one.keys or (one.name, one.axis, one.actual, one.expected)
        groups.setdefault(key, []).append(one)
    told: set[tuple[str, str]] = set()  # a tensor that is wrong in several ways
    for group in groups.values():
        left = [one for one in group if (one.module, one.name) not in told]
        told |= {(one.module, one.name) for one in left}
        if left:
            yield _finding(left, config, header, footprint)


def _finding(group: list[Misshapen], config: Config, header: WeightsHeader, footprint: Footprint) -> Finding:
    one = min(group, key=lambda m: (len(m.keys), len(m.text)))  # what says it most plainly
    modules = list(dict.fromkeys(m.module for m in group if m.module and m.name == one.name))
    where = f" of {listed(modules, word='modules')}" if modules else ""
    shapes = {tensor.shape for m, p in footprint.tuned.items() if (tensor := p.get(one.name)) is not None}
    everywhere = not modules or len(shapes) == 1 or len({m.actual for m in group}) == 1 < len(modules)
    name = footprint.names.get((one.module, one.name))
    left_out = [key for key in one.keys if key not in config]
    remedy = f"Add {listed(left_out)} to the config." if left_out and one.axis >= 0 else "Save the adapter again."
    if one.axis < 0 and one.keys:
        remedy = f"Set {listed(one.keys)} to what the adapter was trained with, or save it again."
    remedy = f"Set `{one.text}` to {one.actual}." if one.text in one.keys and everywhere else remedy
    at = config.at(one.keys[0]) if one.keys and everywhere and not one.turned else header.at(name)
    silent = all(m.loads for m in group)
    return Finding(
        f"{shown(one.name)}{where} {_has(one)}, but {_because(one, config)}"
        + (": PEFT loads it, and the adapter gives another output" if silent else ""),
        at=at,
        severity=Severity.WARNING if silent else None,
        help="Save the adapter again, or transpose what stands the wrong way round." if one.turned else remedy,
    )


_AXES = ("row", "column")


def _has(one: Misshapen) -> str:
    if one.axis < 0:
        return f"has {counted(one.actual, 'dimension')}"
    what = (
        counted(one.actual, _AXES[one.axis]) if one.axis < len(_AXES) else f"{one.actual:,} in dimension {one.axis + 1}"
    )
    return f"is transposed: it has {what}" if one.turned else f"has {what}"


def _because(one: Misshapen, config: Config) -> str:
    if one.axis < 0:
        verb = "is" if one.expected == 1 else "are"
        as_it_is = f" with {listed(one.keys)} as {'it is' if len(one.keys) == 1 else 'they are'}" if one.keys else ""
        return f"there {verb} {one.expected}{as_it_is}"
    if one.expected < 0:
        part = f", as `{one.text}`" if one.keys else ""
        return f"a multiple of {-one.expected:,} is asked for{part}"
    if not one.keys:
        return f"the rest of its module asks for {one.expected:,}"
    missing = [key for key in one.keys if key not in config]
    if one.text in one.keys:
        said = "is missing, which means" if missing else "is"
        return f"`{one.text}` {said} {one.expected:,}"
    left = f", with {listed(missing)} missing" if missing else ""
    return f"`{one.text}` is {one.expected:,}{left}" if not one.text.isdecimal() else f"{one.text} is asked for{left}"
