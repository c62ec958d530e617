"""FLT117."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Member, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import last
from adapterlint.lint.causes import by_type, later_of, worst
from adapterlint.lint.example import DROP, GOOD_CONFIG
from adapterlint.lint.fleet import name_all, paths
from adapterlint.peft.matching import Targets
from adapterlint.peft.sites import OUTPUT_EMBEDDINGS


def _norms(name: str) -> Patch:
    modules = [f"base_model.model.model.layers.{i}.{name}" for i in range(2)]
    return Patch(
        config={
            **dict.fromkeys(GOOD_CONFIG, DROP),
            **{key: GOOD_CONFIG[key] for key in ("base_model_name_or_path", "inference_mode", "task_type")},
            "peft_type": "LN_TUNING",
            "target_modules": [name],
        },
        tensors={"*": DROP, **{f"{module}.ln_tuning_layers.weight": ("F32", (16,)) for module in modules}},
    )


@rule(
    "FLT117",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"before": _norms("input_layernorm"), "after": _norms("post_attention_layernorm")}),
    good=FleetPatch({"one": _norms("input_layernorm"), "two": _norms("input_layernorm")}),
    source="peft/tuners/ln_tuning/layer.py, LNTuningLayer.forward; peft/tuners/trainable_tokens/layer.py",
)
def target_sets_differ(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """Adapters of LN_TUNING or TRAINABLE_TOKENS have different target modules.

    The layers of these two types take for granted that the active adapter is in each of them. After a second adapter
    with other targets is loaded, every forward pass with an adapter that lacks one of the modules raises `KeyError`
    with the adapter's name, even with the first one active and untouched.

    Load adapters with different targets into models of their own.
    """
    for causes in by_type(simulation.about("target-sets-differ")):
        lacking = later_of(causes)
        members = tuple(dict.fromkeys(m for cause in causes for m in (*cause.first, *cause.later)))
        every = frozenset().union(*map(_in_file, members))
        missing = sorted(frozenset().union(*(_missing(m, every, simulation.partial) for m in lacking)))
        if not missing or (simulation.partial and _may_be_tied(every)):
            continue
        yield Finding(
            f"The {shown(members[0].peft_type)} adapters {name_all(members)} differ in their modules "
            f"({listed(missing, word='modules')} not in all of them): once all are loaded, every forward pass with "
            f"{name_all(lacking)} raises `KeyError`",
            at=lacking[0].config.at("target_modules"),
            help="Load them into models of their own.",
            severity=worst(causes),
            adapters=paths(members),
            peft=causes[0].peft,
        )


def _missing(member: Member, every: frozenset[str], partial: bool) -> frozenset[str]:
    """Modules that an adapter has no layer in; in a partial base it may have one wherever its config asks for it."""
    missing = every - _in_file(member)
    targets = Targets(member.config)
    return frozenset(m for m in missing if not partial or targets.match(m) is False) if missing else missing


def _may_be_tied(modules: Iterable[str]) -> bool:
    """Whether a base may tie them, so that rows of one are those of the other too."""
    return any(last(module) in OUTPUT_EMBEDDINGS for module in modules)


def _in_file(member: Member) -> frozenset[str]:
    return frozenset(member.rows if member.peft_type == "TRAINABLE_TOKENS" else member.footprint.tuned)
