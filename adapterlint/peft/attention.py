"""LoRA of `nn.MultiheadAttention`, which tunes the projection of its outputs along with that of its inputs.

Follows `lora.MultiheadAttention` (`peft/tuners/lora/layer.py`), 0.15 to 0.21.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.expected import form_on
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.tuner_layers import Site, parameters_at
from adapterlint.peft.wrappers import Auxiliary, Tuned, Tuner

if TYPE_CHECKING:
    from adapterlint.peft.model import Model

_APART = "q_proj_weight"  # there is one for each of queries, keys and values if these differ in width


def tune_along(model: Model, adapter: str, site: Site, tuned: Tuned) -> None:
    """Give an adapter its parameters on the linear layer inside of an attention module, if its method tunes that.

    Args:
        site: The attention module.
        tuned: What the adapter has there.

    Raises:
        Refused: PEFT does not take such an attention module.
        Undecided: It cannot be said.
    """
    module, since = site.module, site.versions.peft
    form = form_on(site.config.peft_type, module.kind, site.release)
    if form is None or not form.along:
        return
    projection = form.along
    inner = module.child(projection)
    if site.new and _APART in module.params:
        raise _refused(site, "ValueError", "Only same embed for query/key/value is supported as of now for")
    if inner is None or not (isinstance(inner, Tuner | Auxiliary) or inner.kind is Kind.LINEAR):
        raise Undecided
    if site.new and isinstance(inner, Tuner | Auxiliary):
        error = "TypeError" if since >= (0, 20) else "ValueError"
        raise _refused(site, error, f"{projection} must be an instance of nn.Linear for")
    if not isinstance(inner, Tuner) and not site.new:
        raise Undecided  # something else was put there, or taken away, by another adapter
    layer = inner if isinstance(inner, Tuner) else Tuner(inner, "Linear", site.layer.method, adapter)
    layer.attributes = site.layer.attributes
    found = parameters_at(replace(site, module=layer.base, layer=layer, in_file={}))
    if found is None:
        raise Undecided
    if site.new and since < (0, 19):  # it is made without the bias that a config asks for, later ones with it
        bias = ("lora_B", ".bias")
        for one in (tuned, found):
            one.params.pop(bias, None)
            one.neutral -= {bias}
    layer.adapters[adapter] = found
    if layer is not inner:
        model.root.put(module, projection, layer)
    if module.keywords_only and since < (0, 16):
        tuned.problem = tuned.problem or "TypeError"  # its forward pass calls the query `x`


def _refused(site: Site, error: str, text: str) -> Refused:
    return Refused(error, f"{text} MultiheadAttention.", module=site.key, cause="target-unsupported")
