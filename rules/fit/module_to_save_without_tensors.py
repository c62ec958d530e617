"""FIT105."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule
from adapterlint.lint.against_base import is_known, is_like_base
from adapterlint.lint.example import HIDDEN, VOCABULARY
from adapterlint.peft.matching import saved_as, whole_modules
from adapterlint.peft.tasks import IMPLICIT

_NAME = re.compile(r"[\w.-]+")  # anything else ends no module's name
_HEAD = {"base_model.model.lm_head.weight": ("F32", (VOCABULARY, HIDDEN))}


@rule(
    "FIT105",
    Severity.WARNING,
    since="0.1",
    bad=({"modules_to_save": ["lm_head"]}, Patch({"modules_to_save": ["lm_head", "embed_tokens"]}, _HEAD)),
    good=(Patch({"modules_to_save": ["lm_head"]}, _HEAD), {"modules_to_save": ["classifier", "score"]}),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict: each key of a wrapped module is looked up",
)
def module_to_save_without_tensors(config: Config, footprint: Footprint, base: ModuleTree | None) -> Iterator[Finding]:
    """`modules_to_save` names a module that the file has no tensors for.

    If the base has a module whose name ends so, PEFT wraps it and looks every one of its parameters up in the file:
    `KeyError: 'base_model.model.lm_head.weight'`, in `from_pretrained` and in `load_adapter`, which leaves the adapter
    registered without its tensors. If the base has none, PEFT passes the entry over. It is an error where the tuned
    modules show that the base has it. `classifier`, `score` and `qa_outputs` are not told: PEFT adds them by itself.

    Take the entry out if the module was not trained; else the file has lost its tensors.
    """
    if not isinstance(config.get("modules_to_save"), list) or footprint.foreign or not footprint.names:
        return
    if base is not None and is_known(base):
        return  # another rule knows whether the base has it
    entries = [e for e in whole_modules(config) if e not in IMPLICIT and _NAME.fullmatch(e)]
    # Token rows of such a module are the matter of another rule.
    brought = (*_brought(footprint), *footprint.trainable_tokens)
    missing = [e for e in entries if not any(owner.endswith(e) for owner in brought)]
    if base is not None and is_like_base(footprint, base):  # the same
        missing = [e for e in missing if not any(path.endswith(e) for path in base.nodes)]
    if not missing:
        return
    owners = {owner for module in footprint.tuned if (owner := saved_as(module, missing)) is not None}
    there = [entry for entry in missing if any(owner.endswith(entry) for owner in owners)]
    for names, severity in ((there, Severity.ERROR), ([e for e in missing if e not in there], Severity.WARNING)):
        if not names:
            continue
        said = "the base has it" if severity is Severity.ERROR else "the base may have it"
        yield Finding(
            f"`modules_to_save` names {listed(names)}, for which the file has no tensors, although {said}",
            at=config.at("modules_to_save", config.get("modules_to_save").index(names[0])),
            help="Take it out if it was not trained; else the file has lost its tensors.",
            severity=severity,
        )


def _brought(footprint: Footprint) -> list[str]:
    """The modules that are brought whole, and those inside them, which a second entry may name."""
    return [module for owner, below in footprint.modules_to_save.items() for module in (owner, *below)]
