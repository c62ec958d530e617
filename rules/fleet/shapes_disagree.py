"""FLT120."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Place, Severity, listed, rule
from adapterlint.lint.fleet import each, paths

Shape = tuple[int, ...]
MAX_COMPARED = 16  # tuned modules of one adapter; one of another width hardly ever comes alone
# With these, a LoRA factor does not have the size of its module.
_OTHER_SHAPES = ("target_parameters", "use_bdlora", "use_qalora")


def _classifier(labels: int) -> Patch:
    return Patch(
        config={"task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]},
        tensors={"base_model.model.score.weight": ("F32", (labels, 16))},
    )


@rule(
    "FLT120",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"sentiment": _classifier(2), "topic": _classifier(5)}),
        FleetPatch({"sentiment": _classifier(2), "topic": _classifier(5)}, declared=True),
    ),
    good=FleetPatch(
        {"plain": {"task_type": "FEATURE_EXTRACTION"}, "sentiment": _classifier(2)}, declared=True, ordered=True
    ),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict",
)
def shapes_disagree(fleet: Fleet) -> Iterator[Finding]:
    """Adapters need one module of the base in different sizes.

    The base has one size only, so at most some of them can be loaded; the others raise `RuntimeError ... size mismatch`
    and stay behind half loaded. Classifiers with different numbers of labels need a base each, and so do adapters
    with whole embeddings that were trained with different vocabularies. A tuned module of another width means that
    an adapter was trained on another base than its config says.

    Load each into a base of its own (`num_labels`, `resize_token_embeddings`).
    """
    for members in fleet.alike():
        causes: dict[tuple[tuple[Member, ...], ...], list[tuple[str, list[Shape]]]] = {}
        for module, sizes_of in _different(members):
            causes.setdefault(tuple(map(tuple, sizes_of.values())), []).append((module, list(sizes_of)))
        for groups, found in causes.items():
            modules = listed(dict.fromkeys(module for module, _ in found), word="modules")
            # Shapes of weights tell more than those of biases.
            shapes = max((shapes for _, shapes in found), key=lambda those: len(those[0]))
            sizes = each(dict(zip(shapes, groups, strict=True)))
            yield Finding(
                f"{modules} would need different sizes at once ({sizes}): loading all but one kind raises "
                "`RuntimeError ... size mismatch`",
                at=_at(groups[1][0], found[0][0]),
                help="Load each kind into a base of its own size.",
                severity=fleet.severity,
                adapters=paths(m for those in groups for m in those),
            )


def _at(member: Member, module: str) -> Place:
    touched = member.footprint
    if module in touched.modules_to_save:
        return member.at_whole(module)
    return member.at_tuned(module) if module in touched.tuned else member.adapter.files.at()


def _different(members: Iterable[Member]) -> Iterator[tuple[str, dict[Shape, list[Member]]]]:
    """Modules, and what size of them each adapter takes for granted, where they do not agree."""
    sizes: dict[tuple[str, str], dict[Shape, list[Member]]] = {}
    for member in members:
        for module, tensors in member.footprint.plain.items():
            for name, tensor in tensors.items():
                # Weights of a wrapped layer may be packed (4 bits), and say nothing about its size.
                if name not in ("weight", "bias") or ".base_layer." in member.footprint.names[module, name]:
                    continue
                sizes.setdefault((module, name), {}).setdefault(tensor.shape, []).append(member)
        for module, name, size in _tuned_sizes(member):
            sizes.setdefault((module, name), {}).setdefault(size, []).append(member)
    yield from ((module, shapes) for (module, _), shapes in sizes.items() if len(shapes) > 1)


def _tuned_sizes(member: Member) -> Iterator[tuple[str, str, Shape]]:
    """The size of the base's modules that LoRA factors fit: all dimensions but the rank."""
    if member.peft_type != "LORA" or any(member.config.get(key) for key in _OTHER_SHAPES):
        return
    for module, parameters in islice(member.footprint.tuned.items(), MAX_COMPARED):
        for name, rank_at in (("lora_A.weight", 0), ("lora_B.weight", 1)):
            tensor = parameters.get(name)
            if tensor is not None and len(tensor.shape) == 2:
                yield module, name, (tensor.shape[1 - rank_at],)
