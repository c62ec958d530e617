"""Write `adapterlint/peft/calls.json`: how classes of transformers call their modules, and what they take themselves.

    new/bin/python make_calls.py ../../adapterlint/peft/calls.json      transformers 5.23.0
    old/bin/python make_calls.py ../../adapterlint/peft/calls.json      transformers 4.56.2

Read from the sources of `transformers/models/*/modeling_*.py`; classes are separated by spaces:

- `keywords`: name of a module -> classes that call `self.<name>(...)`, never with a positional argument;
- `flat`: name of a module -> classes that call it with rows of all texts one after the other, or with what stands for
  relative positions, and not with a row for each text;
- `measures`: name of a module -> classes that call it with a part of embeddings, whose shape alone it asks for;
- `read`: name of a module -> classes that take weights out of it and never call it, so that what PEFT puts around it
  does not run;
- `refuses`: keyword that PEFT hands to models -> classes that have no parameter for it, nor any that takes the rest;
- `generates`, `mute`: classes that prepare inputs for generation although their names do not end like it, or do not
  although they do;
- `refuses_embeddings`: classes whose `forward` raises `NotImplementedError` if it is given embeddings;
- `converts`: model types whose checkpoints are converted when they are read (release 5): PEFT converts adapters then;
- `several`: layers of torch's kinds that give more than one tensor;
- `tied_modules`: classes whose tied weights are named by their modules, without `.weight` (release 4);
- `no_tied`: classes that tie weights inside of them, and do not say so themselves (`_tied_weights_keys`);
- `states`: classes that keep something else than keys and values, and raise `ValueError` for a cache of these alone;
- `grouped`: layers of torch's kinds that use a block of their weight for each group of the input;
- `positions`: classes that count positions off the attention mask, and have no more of them than tokens (release 4);
- `no_past`: classes of those that generate that take no keys and values;
- `no_prefix`: classifiers that take no keys and values of a prefix, nor does the model inside of them;
- `prefix`: classifiers without a decoder of their own that take them themselves, or have a model inside that does if
  they classify each token (a whole text is classified by what some of these models do not give to PEFT).
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto import modeling_auto as auto

# Those that are handed together, such as `start_positions` and `end_positions`, are taken together too.
HANDED = ("input_ids", "attention_mask", "inputs_embeds", "labels", "start_positions", "decoder_input_ids",
          "output_attentions", "return_dict")  # fmt: skip
POPPED = ("can_return_tuple", "capture_outputs", "check_model_inputs")  # decorators that take `return_dict` away
GENERATING = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForSpeechSeq2Seq", "MTModel")
ALWAYS = ("self_attn", "encoder_attn")  # called with keywords alone wherever they are
LAYERS = ("nn.Linear", "nn.Embedding", "nn.Conv1d", "nn.Conv2d", "nn.Conv3d")
HEADS = ("SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION", "QUESTION_ANSWERING")
TEXTS = (*HEADS, "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM")
COUNTS = "get_rope_index"
RELEASE = int(transformers.__version__.partition(".")[0])
STATES = ("get_conv_state", "get_recurrent_state")
Classes = dict[str, ast.ClassDef]


def of_task(*tasks: str) -> set[str]:
    return {name for task in tasks for name in getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES").values()}


def classes() -> Classes:
    found: Classes = {}
    root = Path(transformers.__file__).parent
    for path in (root / "modeling_layers.py", *sorted(root.glob("models/*/modeling_*.py"))):
        if not path.stem.startswith(("modeling_tf_", "modeling_flax_")):
            found |= {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}
    return found


def method(known: Classes, cls: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    """A method of a class, or of one that it inherits from."""
    for node in cls.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    for base in cls.bases:
        parent = known.get(base.id) if isinstance(base, ast.Name) else None
        if parent is not None and parent is not cls and (found := method(known, parent, name)) is not None:
            return found
    return None


def has_attribute(known: Classes, cls: ast.ClassDef, name: str) -> bool:
    """Whether the body of a class, or of one that it inherits from, gives an attribute a value that is not `None`."""
    for node in cls.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            return not (isinstance(value, ast.Constant) and value.value is None)
    parents = (known.get(base.id) for base in cls.bases if isinstance(base, ast.Name))
    return any(has_attribute(known, parent, name) for parent in parents if parent is not None and parent is not cls)


def converted() -> list[str]:
    """Model types for which there are conversions, whatever those of models inside of them and of classes are."""
    try:
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping
    except ImportError:
        return []
    return [name for name in sorted(transformers.CONFIG_MAPPING) if get_checkpoint_conversion_mapping(name) is not None]


def inherits(known: Classes, cls: ast.ClassDef, name: str) -> bool:
    """Whether a class is derived from one whose name ends like that."""
    bases = {base.id for base in cls.bases if isinstance(base, ast.Name)}
    return any(base.endswith(name) for base in bases) or any(
        inherits(known, known[b], name) for b in bases if b in known and known[b] is not cls
    )


def tied_keys(known: Classes, cls: ast.ClassDef) -> list[str]:
    """`_tied_weights_keys` of a class, if it is a list."""
    for node in cls.body:
        named = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node, ast.Assign) and named and ast.unparse(node.targets[0]) == "_tied_weights_keys":
            values = node.value.elts if isinstance(node.value, ast.List) else []
            return [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    parents = (known.get(base.id) for base in cls.bases if isinstance(base, ast.Name))
    return next((found for p in parents if p is not None and p is not cls and (found := tied_keys(known, p))), [])


def names_module(key: str) -> bool:
    return not key.endswith(("weight", "bias"))


def own(node: ast.AST) -> str | None:
    """The name of an attribute of `self`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return None


def modules(known: Classes, cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Attributes that `__init__` gives a new object, and the class of it."""
    for node in ast.walk(method(known, cls, "__init__") or ast.Module([], [])):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and (name := own(node.targets[0])):
            yield name, ast.unparse(node.value.func)


def calls(forward: ast.FunctionDef) -> dict[str, bool]:
    """Name of an attribute that is called -> whether it is called with keywords alone."""
    found: dict[str, bool] = {}
    for node in ast.walk(forward):
        if isinstance(node, ast.Call) and (name := own(node.func)):
            found[name] = found.get(name, True) and bool(node.keywords) and not node.args
    return found


def flat_calls(function: ast.FunctionDef) -> set[str]:
    """Attributes that are called with what `reshape(-1, ...)` gives, or with relative positions."""
    found: set[str] = set()
    flat: set[str] = set()

    def is_flat(node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in flat or (function.name != "forward" and node.id.startswith(("rel_", "pos_")))
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("reshape", "view")
        ):
            texts = ast.unparse(node.func.value).endswith(("ids", "input"))  # which stay a row each
            return bool(node.args) and ast.unparse(node.args[0]) == "-1" and not texts
        return isinstance(node, ast.Call) and bool(node.args) and is_flat(node.args[0])

    calls_and_values = [node for node in ast.walk(function) if isinstance(node, ast.Call | ast.Assign)]
    for node in sorted(calls_and_values, key=lambda one: (one.lineno, isinstance(one, ast.Assign))):
        if isinstance(node, ast.Call) and (name := own(node.func)) and node.args and is_flat(node.args[0]):
            found.add(name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            (flat.add if is_flat(node.value) else flat.discard)(node.targets[0].id)
    return found


def methods(known: Classes, cls: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    """All methods of a class, also those that it inherits."""
    parents = [known[base.id] for base in cls.bases if isinstance(base, ast.Name) and base.id in known]
    inherited = [methods(known, parent) for parent in reversed(parents) if parent is not cls]
    mine = {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}
    return {name: node for found in (*inherited, mine) for name, node in found.items()}


def read_only(known: Classes, cls: ast.ClassDef) -> set[str]:
    """Modules of a class whose weight or bias its methods take, and that they use for nothing else."""
    read: set[str] = set()
    used: set[str] = set()
    for name, function in methods(known, cls).items():
        if "init" in name:
            continue
        asked: set[int] = set()
        for node in ast.walk(function):  # an attribute comes before what it is asked of
            if isinstance(node, ast.Attribute) and (inner := own(node.value)):
                asked.add(id(node.value))
                (used if node.attr == "forward" else read if node.attr in ("weight", "bias") else set()).add(inner)
            elif (inner := own(node)) and id(node) not in asked:
                used.add(inner)
    return (read - used) & dict(modules(known, cls)).keys()


def measured(forward: ast.FunctionDef | None) -> set[str]:
    """Attributes that are called with a part of `inputs_embeds`."""
    called = [node for node in ast.walk(forward or ast.Pass()) if isinstance(node, ast.Call) and len(node.args) == 1]
    parts = [node for node in called if isinstance(node.args[0], ast.Subscript)]
    return {own(n.func) or "" for n in parts if ast.unparse(n.args[0]).startswith("inputs_embeds[")} - {""}


def gives_several(known: Classes, cls: ast.ClassDef) -> bool:
    """Whether a class is derived from one of torch, and gives a tuple."""
    forward = method(known, cls, "forward")
    returned = [node.value for node in ast.walk(forward or ast.Pass()) if isinstance(node, ast.Return)]
    from_torch = any(ast.unparse(base) in LAYERS for base in cls.bases)
    return from_torch and bool(returned) and all(isinstance(value, ast.Tuple) for value in returned)


def cuts_weight(known: Classes, cls: ast.ClassDef) -> bool:
    """Whether a class is derived from one of torch, and cuts its weight into blocks before it uses it."""
    forward = method(known, cls, "forward")
    cut = forward is not None and "self.weight.view(" in ast.unparse(forward)
    return cut and any(ast.unparse(base) in LAYERS for base in cls.bases)


def keeps_states(cls: ast.ClassDef) -> bool:
    """Whether a class asks a cache for what caches of keys and values do not have, or for one of its own kind."""
    asks = any(isinstance(node, ast.Attribute) and node.attr in STATES for node in ast.walk(cls))
    return asks or "uses cache of its own" in ast.unparse(cls)


def parameters(forward: ast.FunctionDef | None) -> set[str]:
    args = forward.args if forward else ast.arguments([], [], None, [], [], None, [])
    rest = {"**"} if args.kwarg else set()
    for decorator in forward.decorator_list if forward else ():
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Name) and call.id in POPPED:
            rest.add("return_dict")
    return {argument.arg for argument in (*args.args, *args.kwonlyargs)} | rest


def learned() -> dict[str, Any]:
    known = classes()
    forwards = {name: method(known, cls, "forward") for name, cls in known.items()}
    taken = {name: parameters(forward) for name, forward in forwards.items()}
    keywords: dict[str, list[str]] = {}
    for name, cls in sorted(known.items()):
        inside, forward = dict(modules(known, cls)), forwards[name]
        for attribute, alone in calls(forward).items() if forward else ():
            if alone and attribute in inside and attribute not in ALWAYS:
                keywords.setdefault(attribute, []).append(name)
    flat: dict[str, list[str]] = {}
    for name, cls in sorted(known.items()):
        own_ones = [node for node in cls.body if isinstance(node, ast.FunctionDef)]
        for attribute in sorted({called for node in own_ones for called in flat_calls(node)}):
            if attribute in dict(modules(known, cls)):
                flat.setdefault(attribute, []).append(name)
    read: dict[str, list[str]] = {}
    for name, cls in sorted(known.items()):
        for attribute in sorted(read_only(known, cls)):
            read.setdefault(attribute, []).append(name)
    measuring: dict[str, list[str]] = {}
    for name, cls in sorted(known.items()):
        for attribute in sorted(measured(forwards[name]) & dict(modules(known, cls)).keys()):
            measuring.setdefault(attribute, []).append(name)
    base_models = set(auto.MODEL_MAPPING_NAMES["clip_text_model"].split())  # and its like
    base_models |= {name for name in taken if name.endswith("TextModel") and "input_ids" in taken[name]}
    texts = (of_task(*TEXTS) | base_models) & known.keys()
    speech = of_task("SPEECH_SEQ_2_SEQ") & known.keys()
    seen = of_task("IMAGE_TEXT_TO_TEXT") & known.keys()
    heads = of_task(*HEADS) & known.keys()
    tokens = of_task(*HEADS[1:])

    def without(name: str, parameter: str) -> bool:
        """Whether a class has no such parameter, and takes no others, or hands them on beside one of that name."""
        if name not in known or parameter in taken[name]:
            return False
        if "**" not in taken[name]:
            return True
        inside = dict(modules(known, known[name]))
        handed = [
            (inside.get(called, ""), {keyword.arg for keyword in node.keywords})
            for node in ast.walk(forwards[name] or ast.Pass())
            if isinstance(node, ast.Call) and (called := own(node.func))
        ]
        return any(None in given and (parameter in given or without(inner, parameter)) for inner, given in handed)

    def takes_prefix(name: str) -> bool:
        inner = (cls for _, cls in modules(known, known[name]) if cls.endswith(("Model", "Transformer")))
        return any("past_key_values" in taken.get(cls, ("past_key_values",)) for cls in (name, *inner))

    def is_handed_prefix(name: str) -> bool:
        plain = "decoder_input_ids" not in taken[name]
        return plain and ("past_key_values" in taken[name] or (name in tokens and takes_prefix(name)))

    def refused(name: str) -> Iterator[str]:
        for keyword in HANDED:
            deep = keyword in ("input_ids", "inputs_embeds")
            if without(name, keyword) if deep else not taken[name] & {"**", keyword}:
                yield keyword

    def generates(name: str) -> bool:
        own = method(known, known[name], "prepare_inputs_for_generation")
        return own is not None or inherits(known, known[name], "GenerationMixin")

    def ties_inside(name: str) -> bool:
        inside = (known[cls] for _, cls in modules(known, known[name]) if cls in known)
        key = "_tied_weights_keys"
        return not has_attribute(known, known[name], key) and any(has_attribute(known, cls, key) for cls in inside)

    asked = texts | speech | seen
    generating = of_task("CAUSAL_LM") & known.keys()
    models = {name for name, cls in known.items() if inherits(known, cls, "PreTrainedModel")}
    said = "Passing input embeddings is currently not supported"
    return {
        "keywords": {attribute: " ".join(names) for attribute, names in sorted(keywords.items())},
        "flat": {attribute: " ".join(names) for attribute, names in sorted(flat.items())},
        "measures": {attribute: " ".join(names) for attribute, names in sorted(measuring.items())},
        "read": {attribute: " ".join(names) for attribute, names in sorted(read.items())},
        "refuses": {k: " ".join(n for n in sorted(asked) if k in refused(n)) for k in HANDED},
        "generates": " ".join(n for n in sorted(models) if generates(n) and not n.endswith(GENERATING)),
        "mute": " ".join(n for n in sorted(models) if not generates(n) and n.endswith(GENERATING)),
        "refuses_embeddings": " ".join(n for n in sorted(heads) if said in ast.unparse(forwards[n] or ast.Pass())),
        "converts": " ".join(converted()),
        "several": " ".join(n for n in sorted(known) if gives_several(known, known[n])),
        "tied_modules": " ".join(n for n in sorted(models) if any(map(names_module, tied_keys(known, known[n])))),
        "no_tied": " ".join(n for n in sorted(texts) if ties_inside(n)),
        "grouped": " ".join(n for n in sorted(known) if cuts_weight(known, known[n])),
        "states": " ".join(n for n, cls in sorted(known.items()) if keeps_states(cls)),
        "positions": " ".join(n for n, cls in sorted(known.items()) if RELEASE < 5 and method(known, cls, COUNTS)),
        "no_past": " ".join(n for n in sorted(generating) if "past_key_values" not in taken[n]),
        "no_prefix": " ".join(n for n in sorted(heads) if not takes_prefix(n)),
        "prefix": " ".join(n for n in sorted(heads) if is_handed_prefix(n)),
    }


def main() -> None:
    target = Path(sys.argv[1])
    found: dict[str, Any] = json.loads(target.read_text()) if target.exists() else {}
    found[transformers.__version__.partition(".")[0]] = learned()
    target.write_text(json.dumps(found, sort_keys=True, indent=0) + "\n")


if __name__ == "__main__":
    main()
