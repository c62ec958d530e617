"""FLT111."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, listed, rule
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
def module_around_tuner(fleet: Fleet) -> Iterator[Finding]:
    """One adapter brings a whole module, another one changes modules inside it.

    The outer module first: the other adapter loads without a word, its layers go into the copy of the first adapter,
    and none of its tensors for these modules arrive. The inner module first: loading the outer one raises `KeyError:
    '...base_layer.weight'`. If the inner module is brought whole too, loading raises `KeyError` in both orders.

    Load them into models of their own, or train them with modules that do not contain each other.
    """
    for members in fleet.alike():
        found: dict[tuple[tuple[Member, ...], tuple[Member, ...], bool], list[str]] = {}
        containers = {module for m in members for module in _containers(m)}
        if not containers:
            continue
        tuners = {m: _around(filter(m.tunes, m.footprint.tuned), containers) for m in members}
        wholes = {m: _around(m.footprint.modules_to_save, containers) for m in members}
        for module in sorted(containers):
            outer = tuple(m for m in members if module in m.footprint.modules_to_save)
            inner = [m for m in members if m not in outer]
            tuned = tuple(m for m in inner if module in tuners[m])
            whole = tuple(m for m in inner if module in wholes[m])
            for others, is_whole in ((tuned, False), (whole, True)):
                if others:
                    found.setdefault((outer, others, is_whole), []).append(module)
        for (outer, others, is_whole), modules in found.items():
            what = f"{they(outer, 'brings', 'bring')} {listed(modules, word='modules')} whole, and "
            yield Finding(
                f"{what}{they(others, 'brings', 'bring')} modules inside: the second one cannot be loaded (`KeyError`)"
                if is_whole
                else f"{what}{they(others, 'tunes', 'tune')} modules inside: loaded second, the latter is silently not "
                "applied there, and loaded second, the former raises `KeyError`",
                at=outer[0].at_whole(modules[0]),
                help="Load them into models of their own, or train them with modules that do not contain each other.",
                severity=_severity(fleet, outer, others, is_whole),
                adapters=paths((*outer, *others)),
            )


def _severity(fleet: Fleet, outer: tuple[Member, ...], inner: tuple[Member, ...], is_whole: bool) -> Severity | None:
    """An error where loading raises; with the outer module first it is only wrong."""
    if is_whole or not fleet.ordered:
        return fleet.severity if is_whole else None
    return Severity.ERROR if fleet.members.index(inner[0]) < fleet.members.index(outer[-1]) else None


def _containers(member: Member) -> Iterator[str]:
    """Modules that it brings whole and that have modules inside."""
    for module, parts in member.footprint.modules_to_save.items():
        if parts and parts != (module,):
            yield module


def _around(modules: Iterable[str], containers: AbstractSet[str]) -> set[str]:
    """Those of some containers that have one of some modules inside."""
    return {path for module in modules for path in _parents(module) if path in containers}


def _parents(module: str) -> Iterator[str]:
    while module:
        module = module.rpartition(".")[0]
        yield module
