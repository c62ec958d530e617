"""Write `releases.jsonl.gz`: adapters of many releases, and what PEFT 0.10 to 0.21 does with each of them.

Run from this folder, with two environments of torch 2.13.0 that have transformers 4.56.2 and 5.23.0 (and no PEFT), and
a folder that has each release of PEFT unpacked in `peft-<release>`:

    python make_releases.py releases.jsonl.gz OLD_PYTHON NEW_PYTHON PEFT_FOLDER

The adapters are those that the releases of `WRITERS` save, and those of `singles.jsonl.gz` (saved by 0.21.2, and then
damaged); of the latter a second time the healthy ones, and once the others, without the keys that stand at their
defaults, as tools write configs. The first line has the bases: name -> `config` and `tensors`, of transformers 5.23.0.
Then one JSON line an adapter: `name`, `base`, `config`, `tensors` (name -> `[dtype,
shape]`) and `truth`, by release: `error` (null, or `Class: text` of what `PeftModel.from_pretrained` raised), `dropped`
(keys that it warned of as unexpected), `lost` (names in the file that reached nothing; null for prompts) and `forward`
(null, or the class of what a forward pass raised).
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

RELEASES = (
    *("0.10.0", "0.11.1", "0.12.0", "0.13.2", "0.14.0", "0.15.2"),
    *("0.16.0", "0.17.1", "0.18.1", "0.19.1", "0.20.0", "0.21.2"),
)
NEWER_TRANSFORMERS = ("0.19.1", "0.20.0", "0.21.2")
WRITERS = ("0.10.0", "0.12.0", "0.14.0", "0.16.0", "0.18.1", "0.21.2")
TEXT = 60  # characters of an error's text
Line = dict[str, Any]

QV = ["q_proj", "v_proj"]
CAUSAL = {"task_type": "CAUSAL_LM"}
PROMPT = CAUSAL | {"num_virtual_tokens": 3, "target_modules": None}
# name -> (base, class of the config, what differs from `r=4` on q_proj and v_proj)
RECIPES: dict[str, tuple[str, str, Line]] = {
    "plain": ("llama", "Lora", CAUSAL),
    "dora": ("llama", "Lora", {"use_dora": True}),
    "rslora": ("llama", "Lora", {"use_rslora": True}),
    "patterns": ("llama", "Lora", {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 4}}),
    "full-pattern": ("llama", "Lora", {"rank_pattern": {"model.layers.0.self_attn.q_proj": 2}}),
    "top-pattern": ("llama", "Lora", {"target_modules": ["q_proj", "lm_head"], "rank_pattern": {"lm_head": 2}}),
    "head": ("llama", "Lora", {"modules_to_save": ["lm_head"]}),
    "embedding": ("llama", "Lora", {"target_modules": ["q_proj", "embed_tokens"]}),
    "embedding-dora": ("llama", "Lora", {"target_modules": ["q_proj", "embed_tokens"], "use_dora": True}),
    "replicated": ("llama", "Lora", {"layer_replication": [[0, 2], [0, 2]]}),
    "gpt2": ("gpt2", "Lora", {"target_modules": ["attn.c_attn"]}),
    "classifier": ("bert-cls", "Lora", {"target_modules": ["query"], "task_type": "SEQ_CLS"}),
    "head-targeted": ("bert-cls", "Lora", {"target_modules": ["query", "classifier"], "task_type": "SEQ_CLS"}),
    "tagger": ("bert-tok", "Lora", {"target_modules": ["query"], "task_type": "TOKEN_CLS"}),
    "bias": ("bert-cls", "Lora", {"target_modules": ["query"], "bias": "lora_only"}),
    "attention": ("custom", "Lora", {"target_modules": ["attn", "lin0"]}),
    "out-proj": ("custom", "Lora", {"target_modules": ["out_proj"]}),
    "conv2d": ("custom", "Lora", {"target_modules": ["conv"]}),
    "conv2d-dora": ("custom", "Lora", {"target_modules": ["conv"], "use_dora": True}),
    "conv1d": ("convolutions", "Lora", {"target_modules": ["one"]}),
    "conv1d-dora": ("convolutions", "Lora", {"target_modules": ["one"], "use_dora": True}),
    "conv3d": ("convolutions", "Lora", {"target_modules": ["three"]}),
    "grouped": ("convolutions", "Lora", {"target_modules": ["grouped"]}),
    "conv-loha": ("convolutions", "LoHa", {"target_modules": ["two"], "use_effective_conv2d": True}),
    "conv1d-loha": ("convolutions", "LoHa", {"target_modules": ["one"]}),
    "conv1d-lokr": ("convolutions", "LoKr", {"target_modules": ["one"]}),
    "conv-ia3": ("convolutions", "IA3", {"target_modules": ["two"], "feedforward_modules": []}),
    "conv3d-ia3": ("convolutions", "IA3", {"target_modules": ["three"], "feedforward_modules": []}),
    "conv-oft": ("convolutions", "OFT", {"target_modules": ["two"]}),
    "conv-boft": ("convolutions", "BOFT", {"target_modules": ["two"], "boft_block_size": 3}),
    "conv-hra": ("convolutions", "HRA", {"target_modules": ["two"]}),
    "adalora": ("llama", "AdaLora", {"r": 8, "init_r": 4, "target_r": 2, "total_step": 10}),
    "ia3": ("llama", "IA3", {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]}),
    "loha": ("llama", "LoHa", {"rank_pattern": {"q_proj": 2}}),
    "lokr": ("llama", "LoKr", {"r": 2, "target_modules": ["q_proj", "down_proj"]}),
    "oft": ("llama", "OFT", {}),
    "oft-blocks": ("llama", "OFT", {"r": 0, "oft_block_size": 4}),
    "oft-shared": ("llama", "OFT", {"block_share": True}),
    "oft-constrained": ("llama", "OFT", {"coft": True}),
    "boft": ("llama", "BOFT", {"boft_block_size": 4}),
    "poly": ("llama", "Poly", {"n_tasks": 2, "n_skills": 2}),
    "vera": ("llama", "Vera", {"target_modules": ["q_proj"]}),
    "vera-mixed": ("llama", "Vera", {"target_modules": ["q_proj", "down_proj"]}),
    "vera-unsaved": ("llama", "Vera", {"target_modules": ["q_proj"], "save_projection": False}),
    "vblora": ("llama", "VBLoRA", {"vector_length": 4, "num_vectors": 8}),
    "vblora-topk": ("llama", "VBLoRA", {"vector_length": 4, "num_vectors": 8, "save_only_topk_weights": True}),
    "layer-norms": ("llama", "LNTuning", {"target_modules": ["input_layernorm"]}),
    "fourier": ("llama", "FourierFT", {"n_frequency": 10}),
    "hra": ("llama", "HRA", {}),
    "bone": ("llama", "Bone", {}),
    "bat": ("llama", "Bone", {"init_weights": "bat"}),
    "miss": ("llama", "Miss", {}),
    "c3a": ("llama", "C3A", {"block_size": 4}),
    "randlora": ("llama", "RandLora", {}),
    "shira": ("llama", "Shira", {}),
    "osf": ("llama", "OSF", {}),
    "road": ("llama", "Road", {"variant": "road_1"}),
    "waveft": ("llama", "WaveFT", {"n_frequency": 10}),
    "delora": ("llama", "Delora", {}),
    "adaption": ("llama", "AdaptionPrompt", CAUSAL | {"target_modules": None, "adapter_len": 2, "adapter_layers": 1}),
    "prompt": ("llama", "PromptTuning", PROMPT),
    "prompt-classifier": ("llama-cls", "PromptTuning", PROMPT | {"task_type": "SEQ_CLS"}),
    "prompt-encoder": ("llama", "PromptEncoder", PROMPT | {"encoder_hidden_size": 8}),
    "prefix": ("llama", "PrefixTuning", PROMPT),
    "tasks": ("llama", "MultitaskPromptTuning", PROMPT | {"num_tasks": 2, "num_ranks": 1}),
    "cpt": ("llama", "CPT", PROMPT | {"cpt_token_ids": [1, 2, 3], "cpt_mask": [1, 1, 1],
                                      "cpt_tokens_type_mask": [1, 2, 3]}),
    "rows": ("llama", "TrainableTokens", {"target_modules": None, "token_indices": [1, 2]}),
}  # fmt: skip


def write() -> Iterator[Line]:
    """What the release at hand saves."""
    import torch
    from safetensors.torch import load_file
    from tiny_bases import base

    import peft

    for name, (which, kind, changes) in RECIPES.items():
        made = getattr(peft, f"{kind}Config", None)
        if made is None:
            continue
        fields = made.__dataclass_fields__
        if any(key not in fields for key in changes if key != "target_modules"):
            continue
        values = {key: value for key, value in ({"r": 4, "target_modules": QV} | changes).items() if key in fields}
        torch.manual_seed(1)
        try:
            model = peft.get_peft_model(base(which), made(**values))
        except Exception as error:
            print(f"{peft.__version__} {name}: {type(error).__name__} {error}"[:150], file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            config = json.loads(Path(folder, "adapter_config.json").read_text())
            header = {key: described(t) for key, t in load_file(Path(folder, "adapter_model.safetensors")).items()}
        yield {"name": f"{name} {peft.__version__}", "base": which, "config": config, "tensors": header}


def bases() -> Iterator[Line]:
    """The bases of all lines, as checkpoints have them."""
    from tiny_bases import NAMES, base

    for name in NAMES:
        model = base(name)
        config = model.config.to_dict() | {"architectures": [type(model).__name__]} if hasattr(model, "config") else {}
        tied = set(getattr(model, "all_tied_weights_keys", ()))
        tensors = {key: described(t) for key, t in model.state_dict().items() if key not in tied}
        yield {"name": name, "config": json.loads(json.dumps(config, default=str)), "tensors": tensors}


def described(tensor: Any) -> list[Any]:
    names = {"float32": "F32", "int64": "I64", "int32": "I32", "int16": "I16", "uint8": "U8", "bool": "BOOL"}
    return [names[str(tensor.dtype).removeprefix("torch.")], list(tensor.shape)]


def tensor(dtype: str, shape: list[int]) -> Any:
    import torch

    if dtype == "F32":
        return torch.randn(shape) * 0.05
    kinds = {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "U8": torch.uint8, "BOOL": torch.bool}
    return torch.zeros(shape, dtype=kinds[dtype])


def spare(lines: Iterable[Line]) -> Iterator[Line]:
    """`singles.jsonl.gz`: the healthy ones as they are, and all without what stands at its default."""
    import dataclasses

    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    for line in lines:
        config, damage = line["config"], line["damage"]
        common = {"name": f"{line['name']} {damage or 'healthy'}", "base": line["base"], "tensors": line["tensors"]}
        if damage is None:
            yield common | {"config": config}
        fields = PEFT_TYPE_TO_CONFIG_MAPPING[config["peft_type"]].__dataclass_fields__
        defaults = {}
        for name, field in fields.items():
            if field.default is not dataclasses.MISSING:
                defaults[name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                defaults[name] = field.default_factory()
        few = {
            key: value
            for key, value in config.items()
            if key in ("peft_type", "r", "auto_mapping") or key not in defaults or value != defaults[key]
        }
        few.pop("peft_version", None)
        few["inference_mode"] = True
        if few != config:
            yield common | {"name": f"{common['name']} spare", "config": few}


def judge(line: Line) -> Line:
    """What the release at hand does with an adapter."""
    import torch
    from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict
    from safetensors.torch import save_file
    from tiny_bases import base, output

    import peft

    torch.manual_seed(2)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Path(folder, "adapter_config.json").write_text(json.dumps(line["config"], sort_keys=True))
        tensors = {name: tensor(*kind) for name, kind in line["tensors"].items()}
        save_file(tensors, Path(folder, "adapter_model.safetensors"), metadata={"format": "pt"})
        try:
            model = peft.PeftModel.from_pretrained(base(line["base"]), folder).eval()
        except Exception as error:
            text = " ".join(str(error).split())[:TEXT].replace(folder, "FOLDER")
            return {"error": f"{type(error).__name__}: {text}"}
        said = [str(w.message) for w in caught]
        found = next((match for text in said if (match := re.search(r"keyword arguments (\[.*?\]) for", text))), None)
        dropped = re.findall(r"'(\w+)'", found[1]) if found else []
        lost = None
        if not model.peft_config["default"].is_prompt_learning:
            loaded = set_peft_model_state_dict(model, load_peft_weights(folder, device="cpu"))
            names = (key.replace(".default.", ".").removesuffix(".default") for key in loaded.unexpected_keys)
            lost = sorted({name.replace("magnitude_vector.weight", "magnitude_vector") for name in names})
    try:
        output(model)
        forward = None
    except Exception as error:
        forward = type(error).__name__
    return {"error": None, "dropped": dropped, "lost": lost, "forward": forward}


def run(python: str, folder: str, release: str, mode: str, lines: Iterable[Line]) -> list[Line]:
    """Lines in, lines out, by a release of PEFT."""
    environment = os.environ | {"PYTHONPATH": f"{folder}/peft-{release}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(
        [python, "-W", "ignore", __file__, mode], input=text, env=environment, stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def work(mode: str) -> None:
    import transformers

    transformers.logging.set_verbosity_error()
    lines = (json.loads(line) for line in sys.stdin)
    answers: Iterable[Line]
    if mode == "judge":
        answers = map(judge, lines)
    else:
        answers = {"write": write, "bases": bases, "spare": lambda: spare(lines)}[mode]()
    for answer in answers:
        print(json.dumps(answer), flush=True)


def main(target: str, old: str, new: str, folder: str) -> None:
    pythons = {release: new if release in NEWER_TRANSFORMERS else old for release in RELEASES}
    with gzip.open("singles.jsonl.gz", "rt") as stream:
        singles = [json.loads(line) for line in stream]
    lines = [line for release in WRITERS for line in run(pythons[release], folder, release, "write", ())]
    lines += run(new, folder, "0.21.2", "spare", singles)
    truths = {release: run(pythons[release], folder, release, "judge", lines) for release in RELEASES}
    made = {line.pop("name"): line for line in run(new, folder, "0.21.2", "bases", ())}
    with gzip.GzipFile(target, "wb", mtime=0) as packed:
        packed.write(json.dumps(made, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        for number, line in enumerate(lines):
            answer = line | {"truth": {release: truths[release][number] for release in RELEASES}}
            packed.write(json.dumps(answer, sort_keys=True, separators=(",", ":")).encode() + b"\n")


if __name__ == "__main__":
    work(sys.argv[1]) if len(sys.argv) == 2 else main(*sys.argv[1:])
