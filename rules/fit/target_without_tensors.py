"""FIT104."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from adapterlint import AdapterSimulation, Config, Finding, Footprint, ModuleTree, Severity, listed, rule, shown
from adapterlint.lint.against_base import brought_whole, has_all_weights, last, outcomes, unfilled
from adapterlint.lint.default_modules import not_by_default
from adapterlint.lint.example import DROP
from adapterlint.lint.of_method import is_of_method
from adapterlint.lint.places import entry_at
from adapterlint.peft.matching import MAX_TARGETS, Targets, idle_entries, names_module
from adapterlint.peft.simulate import Alone
from adapterlint.peft.sites import COMMON_TARGETS, INPUT_EMBEDDINGS, SIBLINGS
from adapterlint.peft.target_forms import form_of_entry
from adapterlint.words import MAX_LISTED, suggestion


@rule(
    "FIT104",
    Severity.WARNING,
    since="0.1",
    bad=({"target_modules": ["q_proj", "v_proj", "k_proj"]}, {"target_modules": ["q_proj", "v_proj", "q_porj"]}),
    good=(
        {"target_modules": ["q_proj", "v_proj", "gate_proj", "c_attn", "query_key_value"]},
        {"target_modules": ["q_proj", "v_proj", "k_proj"], "exclude_modules": ["k_proj"]},
        {"target_modules": r".*\.[qkv]_proj"},
        {"target_modules": DROP},
    ),
    source="peft/tuners/tuners_utils.py, inject_adapter: entries that match nothing are passed over in silence",
)
def target_without_tensors(
    config: Config, footprint: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """`target_modules` names modules that the file has no tensors for.

    If the base has such modules, PEFT builds layers for them that stay as they were initialised: for LoRA they change
    nothing, but whatever was trained there is lost, and `PeftModel.from_pretrained` warns of missing adapter keys. If
    the base has none, PEFT passes the entry over without a word. It is a warning where the tensors of the file show
    that the base has the module (where there are `q_proj` and `v_proj`, there is `k_proj`), or the base itself is at
    hand. Else it is advice, and only for names that lists meant for every architecture do not have.

    Take the entry out if the module was not trained; else the file has lost tensors.
    """
    if footprint.foreign or not (is_of_method(config.peft_type, footprint) or _has_others(footprint)):
        return
    if footprint.tuned and len(footprint.untargeted) == len(footprint.tuned):
        return
    if base is not None and simulation is not None and has_all_weights(base):
        yield from _in_base(config, footprint, base, simulation)
        return
    entries = config.strings("target_modules")
    if not entries or len(entries) > MAX_TARGETS:
        return
    idle = [e for e in idle_entries(entries, footprint.tuned) if last(e) not in (*INPUT_EMBEDDINGS, "lm_head")]
    idle = [e for e in idle if form_of_entry(e) is None]
    if not idle:
        return
    used = {last(entry) for entry in entries} - {last(entry) for entry in idle}
    targets = Targets(config)
    proven = [e for e in idle if any(others <= used for others in SIBLINGS.get(last(e), ()))]
    odd = [e for e in idle if e not in COMMON_TARGETS and last(e) not in COMMON_TARGETS]
    proven, odd = ([e for e in es[:MAX_TRIED] if _is_wanted(e, footprint, targets)] for es in (proven, odd))
    for names, severity in ((proven, Severity.WARNING), (odd, Severity.INFO)):
        if not names:
            continue
        said = "the base has" if severity is Severity.WARNING else "the base may have"
        yield Finding(
            f"`target_modules` names {listed(names)}, for which the file has no tensors, although {said} such modules",
            at=config.at("target_modules", _index(config, names[0])),
            help=_remedy(names, used),
            severity=severity,
        )


def _has_others(footprint: Footprint) -> bool:
    """Whether whole modules are all that the file has."""
    return not footprint.tuned and bool(footprint.modules_to_save)


def _in_base(
    config: Config, footprint: Footprint, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """The modules of the base for which PEFT builds layers that no tensor fills."""
    if not_by_default(config, footprint, base, simulation):
        return
    for (modules, idle), peft in outcomes(simulation, lambda lone: _unfilled(lone, footprint, base)):
        few = f"{len(modules):,} of the modules" if len(modules) > MAX_LISTED else listed(modules, word="modules")
        more = f", such as {shown(modules[0])}" if len(modules) > MAX_LISTED else ""
        yield Finding(
            f"`target_modules` takes {few} of the base{more}, for which the file has no tensors: "
            "they stay as they are initialised",
            at=entry_at(config, "target_modules", modules[0]),
            help="Take it out, or exclude the modules, if they were not trained; else the file has lost tensors.",
            severity=Severity.ERROR if idle else None,
            peft=peft,
        )


def _unfilled(lone: Alone, footprint: Footprint, base: ModuleTree) -> tuple[tuple[str, ...], bool] | None:
    """The modules, and whether the adapter changes nothing at all."""
    others = brought_whole(lone, footprint)  # whose weights another rule tells
    found = tuple(m for m in unfilled(lone, footprint, base) if last(m) not in (*INPUT_EMBEDDINGS, "lm_head"))
    found = tuple(m for m in found if m not in others)
    return (found, not lone.expression and lone.forward is None) if found else None


MAX_TRIED = 64  # entries without tensors; a list has some ten entries


def _index(config: Config, name: str) -> int | str:
    value = config.get("target_modules")
    return value.index(name) if isinstance(value, list) else name


def _is_wanted(entry: str, footprint: Footprint, targets: Targets) -> bool:
    """Whether PEFT would build layers for such modules: they are neither excluded nor saved whole."""
    whole = (module for owner, below in footprint.modules_to_save.items() for module in (owner, *below))
    if any(names_module(entry, module) for module in (*whole, *footprint.trainable_tokens)):
        return False
    beside = (f"{module.rpartition('.')[0]}.{entry}".lstrip(".") for module in footprint.tuned)
    return any(targets.match(module) is not False for module in beside)


def _remedy(names: Sequence[str], used: Collection[str]) -> str:
    near = suggestion(names[0], used) if names[0] not in COMMON_TARGETS else None
    spelling = f"Is {shown(near)} meant? Else take" if near else "Take"
    return f"{spelling} it out if it was not trained; if it was, the file has lost tensors."
