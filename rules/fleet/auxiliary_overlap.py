"""FLT101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, listed, rule
from adapterlint.lint.fleet import paths
from adapterlint.peft.methods import METHODS

_HEAD = "base_model.model.lm_head.weight"
_OWNER = Patch(config={"modules_to_save": ["lm_head"]}, tensors={_HEAD: ("F32", (64, 16))})


Sizes = dict[tuple[str, str], tuple[int, ...]]  # (module, parameter) -> shape


@rule(
    "FLT101",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"de": _OWNER, "fr": _OWNER}),
        FleetPatch({"de": _OWNER, "fr": _OWNER, "it": {}}, activate=(("de", "fr"),), declared=True),
    ),
    good=(
        FleetPatch({"de": _OWNER, "plain": {}}),
        FleetPatch({"de": _OWNER, "fr": _OWNER, "it": {}}, activate=(("de", "it"),), declared=True),
    ),
    source="peft/utils/other.py, AuxiliaryTrainingWrapper.check_set_adapter; https://github.com/huggingface/peft/pull/2758",
)
def auxiliary_overlap(fleet: Fleet) -> Iterator[Finding]:
    """Several adapters bring the same whole module, of which only one copy can be active.

    A module in `modules_to_save` replaces the base's own; two replacements cannot be added up. Since PEFT 0.18
    `model.base_model.set_adapter([...])` refuses two owners of one module (`ValueError: Only one adapter can be set at
    a time for ModulesToSaveWrapper`); before, it said nothing and left in place whichever module had been active.
    `add_weighted_adapter` refuses them since 0.11. Switching from one to the other with `set_adapter` works. Sequence
    and token classifiers bring their `classifier` or `score` without naming it, question answering its `qa_outputs`.

    Switch between such adapters, or give the module to one of them only. A set under `activate` in the settings says
    what is to be active together; without one, all adapters of a base are judged.
    """
    for company in fleet.companies():
        if METHODS[company.members[0].peft_type].prompt_learning:  # never more than one, whatever they bring
            continue
        for members, modules in _overlaps(company.members).items():
            pair = "both" if len(members) == 2 else "two of them"
            refused = ", and `add_weighted_adapter` refuses them" if members[0].peft_type == "LORA" else ""
            consequences = {
                ">=0.18": "raises `ValueError: Only one adapter can be set at a time for ModulesToSaveWrapper`"
                + refused,
                "<0.18": "with `base_model.set_adapter` silently leaves the copy in place that was active before",
            }
            for peft, consequence in consequences.items():
                yield Finding(
                    f"{company.who(members)} {'both' if pair == 'both' else 'all'} bring "
                    f"{listed(modules, word='modules')} whole: activating {pair} {consequence}",
                    at=members[0].at_whole(modules[0]),
                    help="Switch between them with `set_adapter`, or let only one of them bring "
                    f"{'it' if len(modules) == 1 else 'these modules'}.",
                    severity=company.severity if peft != "<0.18" else None,  # silent then
                    adapters=paths(members),
                    peft=peft,
                )


def _overlaps(members: tuple[Member, ...]) -> dict[tuple[Member, ...], list[str]]:
    """Members -> the modules that they all bring.

    Adapters that need a module in different sizes cannot be in one model, so none of them is activated with another.
    """
    sizes = _sizes(members)
    owners: dict[str, list[Member]] = {}
    for m in members:
        for module in m.footprint.modules_to_save:
            owners.setdefault(module, []).append(m)
    found: dict[tuple[Member, ...], list[str]] = {}
    for module, owning in owners.items():
        kinds = {tuple(sizes[m].items()): sizes[m] for m in owning}.values()
        groups = [[m for m in owning if _fit(sizes[m], kind)] for kind in kinds]
        together = {m for those in groups if len(those) > 1 for m in those}
        if together:
            found.setdefault(tuple(m for m in owning if m in together), []).append(module)
    return found


def _sizes(members: tuple[Member, ...]) -> dict[Member, Sizes]:
    """Member -> shapes of those tensors of the base that not all members bring in the same shape."""
    shapes = {
        m: {(module, name): t.shape for module, tensors in m.footprint.plain.items() for name, t in tensors.items()}
        for m in members
    }
    first: Sizes = {}
    differing = {w for those in shapes.values() for w, shape in those.items() if first.setdefault(w, shape) != shape}
    return {m: {w: shape for w, shape in those.items() if w in differing} for m, those in shapes.items()}


def _fit(one: Sizes, other: Sizes) -> bool:
    return all(one.get(where, shape) == shape for where, shape in other.items())
