"""The texts that are known: who says them, what they mean, which rules find the cause, and the remedy.

In a text `…` stands for anything, `<>` for part of a dotted name. An entry comes before those that are more general
than it. Taken from public threads, from PEFT 0.10 to 0.21.2 and from the engines of 2025 and 2026.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapterlint.peft.constructors import refusal_texts


@dataclass(frozen=True, slots=True)
class Known:
    """Texts with one meaning.

    Args:
        said_by: The program.
        texts: What it says, in its variants.
        means: One sentence without a full stop.
        remedy: One sentence without a full stop.
        rules: Names of the rules that find the cause; empty where none does.
    """

    said_by: str
    texts: tuple[str, ...]
    means: str
    remedy: str
    rules: tuple[str, ...] = ()


_MISSING = (
    *("no-effect", "tensors-reach-nothing", "missing-prefix", "doubled-prefix", "wrapper-prefix"),
    *("adapter-name-in-key", "foreign-dialect-keys", "tensor-missing", "target-without-tensors"),
    *("module-to-save-without-tensors", "no-tensor-of-method", "tensor-unexpected"),
)
_SHAPE = "copying a param with shape torch.Size(["

KNOWN: tuple[Known, ...] = (
    # Shapes
    Known(
        "PEFT",
        (f"size mismatch for <>: {_SHAPE}0]",),
        "The tensor in the file has no elements: a shard or a placeholder was saved instead of the weights "
        "(DeepSpeed ZeRO-3, FSDP)",
        "Gather the weights before saving (`stage3_gather_16bit_weights_on_model_save: true`, `zero_to_fp32.py`); "
        "the data are not in this file",
        ("zero-sized-tensor", "size-mismatch"),
    ),
    Known(
        "PEFT",
        tuple(f"size mismatch for <>{name}<>: {_SHAPE}" for name in ("embed_tokens", "lm_head", "wte", "embed_out")),
        "The adapter has embeddings or a head of another number of rows than this base: tokens were added, or rows "
        "padded, before training",
        "Call `model.resize_token_embeddings(N)` with the rows of the file before the adapter is loaded, or load "
        "the base it was trained on",
        ("shape-differs-from-base", "token-rows-mismatch"),
    ),
    Known(
        "PEFT",
        tuple(f"size mismatch for <>{name}<>: {_SHAPE}" for name in ("score", "classifier", "qa_outputs", "v_head")),
        "The head in the file has another number of labels than the model it is loaded into",
        "Load the base with the `num_labels` of the training: the first dimension of the head in the file",
        ("shape-differs-from-base",),
    ),
    Known(
        "PEFT",
        (f"size mismatch for <>experts<>: {_SHAPE}", "size mismatch on mlp.experts"),
        "Experts are separate linear layers in transformers 4 and one parameter in 5, and the adapter has the other"
        " layout",
        "Load it with the release of transformers it was trained with, or convert it",
        ("shape-differs-from-base", "tensors-reach-nothing"),
    ),
    Known(
        "PEFT",
        ("size mismatch for <>trainable_tokens_delta<>: copying a param with shape",),
        "The file has another number of token rows than the config has token indices",
        "Make `trainable_token_indices` the list of the training",
        ("token-rows-mismatch", "size-mismatch"),
    ),
    Known(
        "PEFT",
        ("size mismatch for <>: copying a param with shape",),
        "A tensor of the file has another size than the config, or this base, gives it",
        "Compare `r`, `rank_pattern` and the base with those of the training",
        ("size-mismatch", "rank-mismatch", "shape-differs-from-base"),
    ),
    # Loaded without effect
    Known(
        "PEFT",
        ("Found missing adapter keys while loading the checkpoint",),
        "Tensors that PEFT wants are not in the file under the names it looks for; what is missing stays untrained,"
        " and often the whole adapter does nothing",
        "Compare the names of the tensors with the modules of the base: a prefix too many or too few, other "
        "modules, another release of transformers",
        _MISSING,
    ),
    Known(
        "transformers",
        ("lora_<> UNEXPECTED", "lora_<> | UNEXPECTED", "language_model.layers<> MISSING", "LOAD REPORT … lora_"),
        "The tensors are named for another layout of the model than the one that is loaded (a vision-language model"
        " before or after transformers 4.52, a text-only class)",
        "Load the model class it was trained with, or rename the tensors; PEFT 0.16 and later maps the old layout "
        "to the new one, never back",
        ("tensors-reach-nothing", "no-effect", "missing-prefix", "target-not-in-base"),
    ),
    Known(
        "training wrapper",
        (
            *("_orig_mod.base_model.model.", "module.base_model.model.", "_fsdp_wrapped_module."),
            "_checkpoint_wrapped_module.",
        ),
        "The model was saved inside `torch.compile`, DDP or FSDP, whose prefix is in the names of the tensors, so "
        "that PEFT loads none of them",
        "Take the prefix out of the names, and unwrap the model before `save_pretrained`",
        ("wrapper-prefix",),
    ),
    Known(
        "training check",
        ("non-zero lora_B", "lora_B delta exactly 0.0", "lora_B is exactly zero"),
        "Every `lora_B` is zero, as it is before training: nothing was loaded into it, or nothing was trained",
        "If the names of the tensors are right, look at the training (frozen parameters, learning rate, what was "
        "saved); adapterlint does not read the values",
        ("wrapper-prefix", "missing-prefix", "no-effect", "tensor-missing"),
    ),
    # Whole modules in engines
    Known(
        "vLLM",
        ("vLLM only supports modules_to_save being None",),
        "The adapter brings whole modules, which this release of vLLM does not serve",
        "Merge it into the base, or train without `modules_to_save`; `adapterlint show` lists the whole modules",
    ),
    Known(
        "vLLM",
        ("lora_magnitude_vector is unsupported LoRA weight", "vLLM does not yet support DoRA"),
        "The adapter is a DoRA, which this release of vLLM does not serve",
        "Merge it into the base, or train with `use_dora=false`; `adapterlint show` tells the method",
        ("dora-mismatch",),
    ),
    Known(
        "vLLM",
        (
            "base_layer.weight is unsupported LoRA weight",
            "embed_tokens.weight is unsupported LoRA weight",
            "lm_head.weight is unsupported LoRA weight",
        ),
        "The file has a whole matrix of the base beside the low-rank factors, often saved without being trained "
        "(`save_embedding_layers`)",
        "Save with `save_embedding_layers=False` if it was not trained, else merge the adapter",
        ("base-weights-in-adapter",),
    ),
    Known(
        "vLLM",
        ("is unsupported LoRA weight",),
        "The file has a tensor that is no low-rank factor, which vLLM does not serve",
        "Look which tensor it names; merge the adapter if it was trained",
        ("base-weights-in-adapter", "adapter-name-in-key", "tensor-unexpected"),
    ),
    Known(
        "llama.cpp",
        ("Unexpected name '<>': Not a lora_A or lora_B tensor", "unrecognized tensor base_model.model."),
        "The converter takes low-rank factors only, and the file has whole matrices (`modules_to_save`, saved "
        "embeddings)",
        "Merge the adapter and convert the merged model, or save without the matrices if they were not trained",
        ("base-weights-in-adapter",),
    ),
    Known(
        "llama.cpp",
        ("Unexpected tensor name: <>lora_",),
        "The adapter's name is still in the names of the tensors",
        "Save with `save_pretrained`, not with a raw `state_dict()`, or take the name out",
        ("adapter-name-in-key",),
    ),
    Known(
        "vLLM",
        ("vLLM currently only supports adding LoRA to language model",),
        "Layers of the vision tower are tuned, and vLLM leaves them out: the answers are not those of the training",
        "Merge the adapter, or train the language model only",
    ),
    # SGLang
    Known(
        "SGLang",
        ("LoRA serving currently doesn't support adapters that add tokens to the vocabulary",),
        "Token files beside the adapter add tokens to the vocabulary, which SGLang does not serve; they often were "
        "only copied, and add none",
        "Take `added_tokens.json` out of the folder if its tokens are in the base's vocabulary, else merge the adapter",
    ),
    Known(
        "SGLang",
        ("LoRA serving currently doesn't support DoRA adapters",),
        "The adapter is a DoRA, which SGLang does not serve",
        "Merge it into the base, or train with `use_dora=false`; `adapterlint show` tells the method",
        ("dora-mismatch",),
    ),
    Known(
        "SGLang",
        ("is incompatible with the current LoRA memory pool",),
        "The rank of the adapter, or a module that it tunes, is beyond what the server was started with",
        "Start it with `--max-lora-rank` and `--lora-target-modules` of all adapters; `adapterlint show` lists both",
    ),
    # Tied embeddings
    Known(
        "PEFT",
        (
            "Model has tie_word_embeddings=True and a tied layer is part of the adapter",
            "Model with tie_word_embeddings=True and the … are part of the adapter",
            "but ensure_weight_tying is not set to True",
            "repeating the same token infinitely",
        ),
        "The base ties its embeddings and the adapter changes one of the two, so that a merged model is another one",
        "Merge into a base with `tie_word_embeddings=false`, or train with `ensure_weight_tying=true`",
        ("tied-embeddings-split",),
    ),
    # Several adapters
    Known(
        "PEFT 0.18 and later",
        ("Only one adapter can be set at a time for TrainableTokensWrapper",),
        "Several of the activated adapters have token rows of one embedding; PEFT refuses that even for different rows",
        "Activate one of them at a time, or train the tokens into one adapter; `adapterlint plan` gives the largest"
        " sets",
        ("token-overlap", "token-rows-disjoint", "module-against-tokens"),
    ),
    Known(
        "PEFT 0.18 and later",
        ("Only one adapter can be set at a time for ModulesToSaveWrapper",),
        "Several of the activated adapters bring the same whole module, of which one copy can be active",
        "Activate one of them at a time; `adapterlint plan` gives the largest sets that work",
        ("auxiliary-overlap", "token-overlap", "token-rows-disjoint", "module-against-tokens"),
    ),
    Known(
        "PEFT before 0.18",
        ("Only one adapter can be set at a time for modules_to_save",),
        "These releases activate one adapter at a time as soon as one has `modules_to_save`, whether modules "
        "overlap or not",
        "Use PEFT 0.18 or later, which refuses true overlaps only; `adapterlint plan --peft` compares releases",
        ("auxiliary-overlap", "auxiliary-active-early"),
    ),
    Known(
        "PEFT",
        (
            "Cannot add weighted adapters if they target the same module with modules_to_save",
            "Cannot add weighted adapters targeting the same module with modules_to_save",
        ),
        "Adapters that bring the same whole module cannot be added",
        "Leave out all but one of them; `adapterlint plan` tells which can be weighted",
        ("auxiliary-overlap",),
    ),
    Known(
        "PEFT",
        ("All adapters must have the same r value when using combination_type",),
        "Weighted by `linear`, `ties` or `dare_*`, adapters need one rank",
        'Use `combination_type="cat"` or `"svd"`; `adapterlint show` lists the ranks',
    ),
    Known(
        "PEFT",
        ("Token indices of adapter … are already defined",),
        "Adapters that replace the same token rows cannot be merged one after the other",
        "Merge one of them, or train the tokens into one adapter",
        ("token-overlap",),
    ),
    Known(
        "PEFT",
        ("add_weighted_adapter does not support targeting nn.Parameter",),
        "Adapters with `target_parameters` cannot be added",
        "Merge them one by one; `adapterlint plan` tells what works",
    ),
    Known(
        "kohya",
        ("weights shape mismatch merging",),
        "The files have different ranks, and kohya's merge wants one",
        "Resize them to one rank, or merge by SVD; PEFT does not read these files",
        ("foreign-format", "foreign-dialect-keys"),
    ),
    Known(
        "PEFT",
        ("token_adapter.trainable_tokens_delta",),
        "An adapter with token rows is in the model, and PEFT then wants some of every adapter that is loaded later",
        "Load the adapters with token rows last; `adapterlint plan` gives an order that works",
        ("tokens-block-later-adapter",),
    ),
    Known(
        "PEFT",
        ("one LoRA adapter per model with target_parameters is allowed",),
        "This release takes one adapter with `target_parameters`, 0.20 and later several with the same ones",
        "Load one of them, or use PEFT 0.20 or later",
        ("loading-refused",),
    ),
    Known(
        "PEFT",
        ("supports only 1 adapter with bias",),
        "Several adapters train biases of the base, of which there is one set",
        "Load one of them at a time, or merge the others",
        ("several-biases",),
    ),
    Known(
        "PEFT",
        ("Hot swapping the adapter did not succeed, unexpected keys found",),
        "The adapter that is swapped in has layers that the first one lacks",
        "Load the one with the most modules first, or without hot-swapping; `adapterlint plan` tells which can be "
        "swapped",
    ),
    Known(
        "PEFT",
        ("Adapter name … should not be contained in the prefix",),
        "The adapter's name is part of the prefix of its parameters, so that names are mixed up when it is saved",
        "Choose another `adapter_name`",
        ("adapter-name-collides", "adapter-name-refused"),
    ),
    Known(
        "PEFT",
        ('module name can\'t contain "."', 'module name can\'t be empty string ""'),
        "The adapter's name is none that a module can have",
        "Choose a name without a dot",
        ("adapter-name-refused",),
    ),
    Known(
        "raw state_dict",
        ("lora_A.default.default.weight", "lora_B.default.default.weight"),
        "The adapter's name was in the names of the tensors already and was put in once more",
        "Save with `save_pretrained`, not with a raw `state_dict()`, or take the name out",
        ("adapter-name-in-key",),
    ),
    # Releases and configs
    Known(
        "PEFT before 0.14",
        (
            "Config.__init__() got an unexpected keyword argument",
            "Config() got an unexpected keyword argument",
            "Unexpected keyword arguments … for class … these are ignored",
        ),
        "The config has keys of a later PEFT: before 0.14 they are refused, since then dropped with a warning",
        "Use the release it was trained with, or take the keys out if they are at their defaults; `adapterlint "
        "compat` tells which releases are right",
        ("key-not-in-release", "unknown-key", "peft-too-old"),
    ),
    Known(
        "PEFT",
        ("not found in the base model. Please check the target modules", "No modules were targeted for adaptation"),
        "No module of this base is named by `target_modules`: another model family, or a string where a list was meant",
        "Name modules of this base, or load the base of the training",
        ("target-not-in-base", "target-matches-nothing-by-form", "target-entry-not-in-base"),
    ),
    Known(
        "PEFT",
        ("Please specify target_modules",),
        "The config has no `target_modules`, and PEFT knows no default for this model type",
        "Set `target_modules` to the modules that the tensors are named for",
        ("refused-in-base", "refused-by-config", "target-not-in-base"),
    ),
    Known(
        "PEFT",
        ("Target module … is not supported. Currently, only the following modules are supported",),
        "`target_modules` names a module that the method cannot wrap",
        "Name linear layers, embeddings or convolutions inside of it",
        ("target-unsupported",),
    ),
    Known(
        "PEFT",
        (
            "Can't find 'adapter_config.json' at",
            "does not appear to have a file named adapter_config.json",
            "does not appear to have a file named config.json",
            "Can't find config.json",
            "Can't find 'config.json'",
        ),
        "There is no adapter in this folder: a folder too high or too low, a checkpoint of the trainer, or another "
        "format",
        "Give the folder that holds `adapter_config.json`, or `subfolder=`; a mistyped path counts as a name on the"
        " Hub",
        ("missing-config", "foreign-format", "misnamed-weights"),
    ),
    Known(
        "PEFT",
        ("Can't find weights for",),
        "The folder has a config and no weights under the names that PEFT looks for",
        "Add `adapter_model.safetensors`, or rename the weights to that",
        ("missing-weights", "misnamed-weights"),
    ),
    Known(
        "transformers",
        ("None is not a local folder", "huggingface.co/None/resolve"),
        "The config does not name the base model (`base_model_name_or_path` is null)",
        "Set `base_model_name_or_path` to the Hub name of the base, or load the base by hand",
        ("base-model-missing",),
    ),
    Known(
        "LoRAX",
        ("Adapter … is not compatible with model",),
        "The config names another base model than the one that is served, often by a path of somebody's disk",
        "Set `base_model_name_or_path` to the name under which the base is served",
        ("base-model-local-path", "base-model-missing", "card-base-differs"),
    ),
    Known(
        "Hub",
        ('"base_model" with value … is not valid',),
        "The model card names a path of a disk as its base model, and the Hub refuses it",
        "Set `base_model` in the front matter of `README.md` to the Hub name of the base",
        ("card-base-path", "base-model-local-path"),
    ),
    Known(
        "PEFT",
        ("Setting save_embedding_layers to True as",),
        "PEFT saves the whole embeddings with the adapter, whether they were trained or not, which makes it large "
        "and unwelcome in engines",
        "Pass `save_embedding_layers=False` to `save_pretrained` if they were not trained",
        ("base-weights-in-adapter",),
    ),
    # Files
    Known(
        "safetensors",
        (
            "Error while deserializing header",
            "deserializing header: HeaderTooLarge",
            "InvalidHeaderDeserialization",
            "MetadataIncompleteBuffer",
            "SafetensorError: InvalidHeader",
            "HeaderTooLarge",
            "HeaderTooSmall",
            "invalid JSON in header: EOF while parsing a value",
        ),
        "The weights are no whole safetensors file: a git-LFS pointer, a broken download, or another format under "
        "this name",
        "Run `git lfs pull`, or download the file again",
        ("lfs-pointer", "invalid-header", "truncated-data", "empty-weights", "tensor-offsets", "duplicate-tensor"),
    ),
    Known(
        "Unsloth",
        ("Your repo has a LoRA adapter and a base model",),
        "A whole model and an adapter share one folder, and the adapter may be applied twice",
        "Give each a folder of its own",
        ("model-beside-adapter",),
    ),
    # Values
    Known(
        "PEFT",
        ("NaNs detected in the merged",),
        "Merging gives values that are no numbers: the adapter has some, or half precision overflows",
        "Look at the training, or merge in `float32`; adapterlint does not read the values",
    ),
    Known(
        "LoRAX",
        ("The output tensors do not match for key",),
        "The weights differ from themselves when they are compared, which NaN does: training diverged",
        "Train again with a lower learning rate; adapterlint does not read the values",
    ),
    Known(
        "diffusers",
        ("A tensor with all NaNs was produced",),
        "The model gives NaN: the adapter has some, or half precision overflows",
        "Run in `float32` to tell the two apart; adapterlint does not read the values",
    ),
    # Limits and other formats
    Known(
        "vLLM",
        ("is greater than max_lora_rank", "max_lora_rank … must be one of"),
        "The rank of an adapter, `rank_pattern` included, is above what the server was started with",
        "Start it with `--max-lora-rank` of the largest rank, of those it allows; `adapterlint show` lists the ranks",
    ),
    Known(
        "TensorRT-LLM",
        ("low_rank must be smaller than mMaxLowRank",),
        "The rank of the adapter is above what the engine was built for",
        "Build it with `--max_lora_rank` of the largest rank; `adapterlint show` lists the ranks",
    ),
    Known(
        "mlxcel",
        ("matched neither the base model nor the fine-tune",),
        "The engine left out what it does not know of the adapter, such as the magnitudes of DoRA",
        "Merge the adapter; `adapterlint show` tells the method",
        ("dora-mismatch",),
    ),
    Known(
        "PEFT 0.20 and later",
        ("which is not in the import allowlist",),
        "`auto_mapping` of the config names a Python module that PEFT would import, and PEFT refuses",
        "Load the model class yourself, then the adapter with `PeftModel.from_pretrained`; allow the module only if"
        " you trust it",
        ("config-imports-code",),
    ),
    Known(
        "training check",
        ("vocab mismatch: tok=",),
        "Tokenizer, embeddings and config have different numbers of tokens",
        "Resize the embeddings to the tokenizer's length before training; a base is usually padded, which does no harm",
        ("token-out-of-range", "shape-differs-from-base"),
    ),
    Known(
        "MLX",
        (
            "'SimpleNamespace' object has no attribute 'num_layers'",
            'keyNotFound "num_layers"',
            "keyNotFound(…num_layers",
            'unhandledKeys(… ["base_model"])',
            "unhandledKeys(…base_model",
        ),
        "MLX was given an adapter of PEFT: the same file names, other keys and transposed factors",
        "Convert it, or fuse it into the base first",
        ("foreign-format", "foreign-dialect-keys"),
    ),
    Known(
        "Ollama",
        ("unsupported content type: unknown", "unsupported architecture"),
        "Ollama does not import this adapter: weights it cannot read, or a base of an architecture that it does not"
        " convert",
        "Convert it to GGUF with llama.cpp, or merge it",
        ("lfs-pointer", "invalid-header", "misnamed-weights"),
    ),
    Known(
        "diffusers",
        ("No LoRA keys associated to",),
        "No tensor has the prefix that diffusers looks for: the names are of another dialect, or of PEFT",
        "Pass `prefix=None` for names without one, or convert the file",
        ("foreign-format", "foreign-dialect-keys", "missing-prefix"),
    ),
)


def everything() -> Iterator[Known]:
    """All that is known: the table, and the texts with which PEFT refuses values of a config."""
    yield from KNOWN
    for text in refusal_texts():
        yield Known(
            "PEFT",
            (text,),
            "PEFT refuses a value of the config, or two that do not go together",
            "Look at what the text names in `adapter_config.json`",
            ("refused-by-config",),
        )
