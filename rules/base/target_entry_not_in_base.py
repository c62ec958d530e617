"""BAS102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_known, last
from adapterlint.peft.config_patterns import matches_targets
from adapterlint.peft.matching import MAX_TARGETS, idle_entries
from adapterlint.peft.sites import COMMON_TARGETS, INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS
from adapterlint.peft.target_forms import form_of_entry
from adapterlint.peft.tasks import IMPLICIT
from adapterlint.words import suggestion

_ANYWHERE = COMMON_TARGETS | INPUT_EMBEDDINGS | OUTPUT_EMBEDDINGS | IMPLICIT


@rule(
    "BAS102",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch({"target_modules": ["q_proj", "v_proj", "self_attn.o_porj"]}, base={}),
        Patch({"target_modules": ["q_proj", "v_proj", "adapter_gate"]}, base={}),
    ),
    good=(
        Patch({"target_modules": ["q_proj", "v_proj", "c_attn", "query_key_value"]}, base={}),
        Patch(base={}),
    ),
    source="peft/tuners/tuners_utils.py, check_target_module_exists: entries that match nothing are passed over",
)
def target_entry_not_in_base(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """An entry of `target_modules` names no module of the base, while others do.

    PEFT passes over it without a word; what was meant by it is neither trained nor loaded. It is a warning where the
    base has a module of nearly this name. Names that lists meant for every architecture have (`query_key_value`,
    `c_attn`, `o_proj`) are not told.

    Correct the name, or take it out.
    """
    entries = config.strings("target_modules")
    if not entries or len(entries) > MAX_TARGETS or not is_known(base) or not matches_targets(config):
        return
    if all(lone.error is not None and lone.error.cause == "no-targets" for lone in simulation.alone.values()):
        return
    idle = [e for e in idle_entries(entries, base.nodes) if last(e) not in _ANYWHERE and form_of_entry(e) is None]
    if not idle:
        return
    names = {last(path) for path in base.nodes if path} - {last(e) for e in entries if e not in idle}
    meant = {
        entry: near for entry in idle if (near := suggestion(last(entry), names)) is not None and _near(entry, near)
    }
    for group, severity in ((list(meant), Severity.WARNING), ([e for e in idle if e not in meant], Severity.INFO)):
        if group:
            near = f"Is {shown(meant[group[0]])} meant? Else take it out." if group[0] in meant else None
            yield Finding(
                f"{listed(group, word='entries')} of `target_modules` {'names' if len(group) == 1 else 'name'} no "
                "module "
                "of the base: PEFT passes over it in silence",
                at=config.at("target_modules", config.get("target_modules").index(group[0])),
                help=near or "Take it out if the list is for other bases too; else correct the name.",
                severity=severity,
            )


def _near(entry: str, name: str) -> bool:
    """Whether a name is no more than a slip away: the same letters, or one more or less."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, last(entry).lower(), name.lower()).ratio() >= NEAR


NEAR = 0.8
