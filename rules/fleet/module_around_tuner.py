"""FLT111."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Cause, Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule
from adapterlint.lint.causes import modules_of, sides, together, worst
from adapterlint.lint.fleet import paths, they

_MLP = "base_model.model.model.layers.{}.mlp."
_SHAPES = {"gate_proj": (32, 16), "up_proj": (32, 16), "down_proj": (16, 32)}
_WHOLE = Patch(
    config={"modules_to_save": ["mlp"]},
    tensors={f"{_MLP.format(i)}{name}.weight": ("F32", shape) for i in range(2) for name, shape in _SHAPES.items()},
)
_INSIDE = Patch(
    config={"target_modules": ["q_proj", "v_proj", "down_proj"]},
    tensors={
        f"{_MLP.format(i)}down_proj.lora_{factor}.weight": ("F32", shape)
        for i in range(2)
        for factor, shape in (("A", (8, 32)), ("B", (16, 8)))
    },
)
_PART = Patch(
    config={"modules_to_save": ["down_proj"]},
    tensors={f"{_MLP.format(i)}down_proj.weight": ("F32", (16, 32)) for i in range(2)},
)


@rule(
    "FLT111",
    Severity.WARNING,
    since="0.1",
    bad=(FleetPatch({"whole": _WHOLE, "inside": _INSIDE}), FleetPatch({"whole": _WHOLE, "part": _PART})),
    good=FleetPatch({"whole": _WHOLE, "plain": {}}),
    source="peft/tuners/tuners_utils.py, BaseTuner.inject_adapter; peft/utils/other.py, _set_trainable",
)
def module_around_tuner(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """One adapter brings a whole module, another one changes modules inside it.

    The outer module first: the other adapter loads without a word, its layers go into the copy of the first adapter,
    and none of its tensors for these modules arrive. The inner module first: loading the outer one raises `KeyError:
    '...base_layer.weight'`. If the inner module is brought whole too, loading raises `KeyError` in both orders.

    Load them into models of their own, or train them with modules that do not contain each other.
    """
    for causes in together(simulation.about("module-around-tuner"), "whole"):
        outer, inner = sides(causes, "whole")
        modules = modules_of(causes)
        verb = ("tunes", "tune") if any(cause.error is None for cause in causes) else ("changes", "change")
        yield Finding(
            f"{they(outer, 'brings', 'bring')} {listed(modules, word='modules')} whole, and "
            f"{they(inner, *verb)} modules inside: {', and '.join(dict.fromkeys(map(_said, causes)))}",
            at=outer[0].at_whole(modules[0]),
            help="Load them into models of their own, or train them with modules that do not contain each other.",
            severity=worst(causes),
            adapters=paths((*outer, *inner)),
            peft=causes[0].peft,
        )


def _said(cause: Cause) -> str:
    who = "former" if cause.roles[1] == "whole" else "latter"
    if cause.error is None:
        return f"loaded second, the {who} is silently not applied there"
    return f"loaded second, the {who} raises `{cause.error.type}`"
