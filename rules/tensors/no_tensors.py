"""TEN124."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import made_on
from adapterlint.peft.methods.shapes import Ground
from adapterlint.peft.releases import NEWEST


@rule(
    "TEN124",
    Severity.ERROR,
    since="0.1",
    bad=Patch(tensors={"*": DROP}),
    good=Patch(),
    source="https://github.com/huggingface/peft/issues/2450",
)
def no_tensors(header: WeightsHeader, config: Config | None) -> Iterator[Finding]:
    """The weights file holds no tensors.

    An empty state dict was saved: on a rank that had none of the weights, with a filter that let nothing through, or by
    a script that replaced `model.state_dict`. PEFT loads it and changes nothing (`from_pretrained` warns "Found missing
    adapter keys" since 0.14), or raises `KeyError` if the config has `modules_to_save`, trainable tokens or a prompt. A
    pickle may also hold its tensors one level deeper, where PEFT does not look.

    Save the adapter again; there is nothing in this file. X-LoRA with a classifier of one layer loses it in
    `save_pretrained` of PEFT 0.20 and 0.21, and mixes its experts with random weights when it is loaded: save it with
    0.19.
    """
    if header.tensors:
        return
    name = header.file.rpartition("/")[2]
    if config is not None and _loses_all(config):
        yield Finding(
            f"{shown(name)} holds no tensors, since PEFT 0.20 and 0.21 lose this classifier on saving: what mixes the "
            "experts begins with random weights",
            at=header.at(),
            help="Save the adapter with PEFT 0.19 from where it was trained.",
            severity=Severity.WARNING,
        )
        return
    where = " at its top level" if header.pickle else ""
    yield Finding(
        f"{shown(name)} holds no tensors{where}, so PEFT applies nothing",
        at=header.at(),
        help="Save the adapter again from where it was trained.",
    )


def _loses_all(config: Config) -> bool:
    """Whether PEFT saves nothing of the adapter, and adapts the base nevertheless: X-LoRA has experts elsewhere."""
    method = METHODS.get(config.peft_type)
    if method is None or method.forms or method.prompt_learning:
        return False
    made = [one for one in made_on(method.top, Ground(config.values), NEWEST) if one.certain]
    saved = [one.parameter.saved.of(one.ground) for one in made]
    return bool(saved) and not any(one is None or one for one in saved)
