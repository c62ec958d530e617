"""What PEFT refuses: class, text and releases were recorded by loading such adapters with each release.

Every adapter was saved by the release itself on a tiny Llama, its config edited as shown, and loaded with
`PeftConfig.from_pretrained` and `PeftModel.from_pretrained`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from adapterlint.peft.constructors import refusals
from adapterlint.peft.fields import fields_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import RELEASES, in_range

# Configs that load, but for what is left to its default.
GOOD: dict[str, dict[str, Any]] = {
    "ADALORA": {"init_r": 4, "target_r": 2, "total_step": 10, "tinit": 1, "tfinal": 1},
    "ADAPTION_PROMPT": {"adapter_len": 3, "adapter_layers": 2},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 4},
    "CARTRIDGE": {"num_virtual_tokens": 3},
    "CPT": {"cpt_token_ids": [1, 2], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 2], "task_type": "CAUSAL_LM"},
    "GRALORA": {"r": 4, "gralora_k": 2},
    "IA3": {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]},
    "MULTITASK_PROMPT_TUNING": {"num_virtual_tokens": 3, "num_tasks": 2},
    "OFT": {"oft_block_size": 4, "r": 0},
    "OSF": {"effective_rank": 4},
    "PREFIX_TUNING": {"num_virtual_tokens": 3},
    "PROMPT_TUNING": {"num_virtual_tokens": 3},
    "P_TUNING": {"num_virtual_tokens": 3},
    "SUPERTUNING": {"sparsity": 0.9},
}

# A type and what was changed in its config, then a line for each range of releases that refused it (`?`: not recorded,
# or refused for what no config shows). All other releases loaded it, or do not have the type or the key.
RECORDED = """
LORA {"velora_config": {"num_groups": 0}}
    0.20 0.21 ValueError `num_groups` should be positive, got 0.
LORA {"velora_config": {"scale": 0}}
    0.20 0.21 ValueError `scale` should be positive, got 0.
LORA {"velora_config": {"init_type": "x"}}
    0.20 0.21 ValueError Unsupported `init_type` 'x'. Supported values are 'batch_average_once', 'batch_a
LORA {"kasa_config": {"beta": -1}}
    0.21 0.21 ValueError `beta` must be non-negative, got -1.
LORA {"kasa_config": {"gamma": -1}}
    0.21 0.21 ValueError `gamma` must be non-negative, got -1.
LORA {"arrow_config": {"top_k": 0}}
    0.18 0.20 AttributeError 'dict' object has no attribute 'top_k'
    0.21 0.21 ValueError top_k cannot be negative.
LORA {"arrow_config": {"router_temperature": 0}}
    0.18 0.20 AttributeError 'dict' object has no attribute 'top_k'
    0.21 0.21 ValueError router_temperature must be greater than 0.
LORA {"arrow_config": {"top_k": 3}}
    0.18 0.20 AttributeError 'dict' object has no attribute 'top_k'
    0.21 0.21 AttributeError 'NoneType' object has no attribute 'copy'
LORA {"eva_config": {"rho": 0.5}}
    0.21 0.21 ValueError `rho` must be >= 1.0
LORA {"eva_config": {"tau": 3}}
    0.21 0.21 ValueError `tau` must be between 0.0 and 1.0.
LORA {"monteclora_config": {"num_samples": 0}}
    0.20 0.21 ValueError `num_samples` must be greater than 0.
LORA {"monteclora_config": {"dirichlet_prior": 0}}
    0.20 0.21 ValueError `dirichlet_prior` must be greater than 0.
LORA {"monteclora_config": {"buffer_size": 0}}
    0.20 0.21 ValueError `buffer_size` must be greater than 0.
LORA {"use_bdlora": {"target_modules_bd_a": ["q_proj"], "target_modules_bd_b": ["q_proj"]}}
    0.19 0.21 ValueError Found overlapping modules in target_modules_bd lists:['q_proj'] (A) and ['q_proj
LORA {"target_parameters": "a"}
    0.17 0.21 TypeError `target_parameters` must be a list of strings or None.
LORA {"use_dora": true, "megatron_config": {"a": 1}}
    0.10 0.21 ValueError DoRA does not support megatron_core, please set `use_dora=False`.
LORA {"init_lora_weights": "loftq", "loftq_config": {}}
    0.11 0.13 ?
    0.14 0.21 ValueError `loftq_config` must be specified when `init_lora_weights` is 'loftq'.
LORA {"lora_bias": true, "init_lora_weights": "gaussian"}
    0.14 0.21 ValueError The argument lora_bias=True is only supported with init_lora_weights=True or Fal
LORA {"lora_bias": true, "use_dora": true}
    0.14 0.21 ValueError The argument lora_bias=True is not supported for DoRA, please pass use_dora=Fals
LORA {"bias": "foo"}
    0.10 0.21 NotImplementedError Requested bias: foo, is not implemented.
LORA {"lora_dropout": 3}
    0.10 0.21 ValueError dropout probability has to be between 0 and 1, but got 3
LORA {"target_modules": []}
    0.10 0.16 ValueError Target modules set() not found in the base model. Please check the target module
    0.17 0.20 ValueError No `target_modules` passed but also no `target_parameters` found. Please check t
    0.21 0.21 NoMatchingPeftModuleError No `target_modules` passed but also no `target_parameters` found. Please check t
ADALORA {"target_parameters": "a"}
    0.17 0.21 TypeError `target_parameters` must be a list of strings or None.
ADALORA {"use_dora": true, "megatron_config": {"a": 1}}
    0.11 0.13 ValueError PeftType.ADALORA does not support DoRA.
    0.14 0.21 ValueError DoRA does not support megatron_core, please set `use_dora=False`.
ADALORA {"init_lora_weights": "loftq", "loftq_config": {}}
    0.14 0.21 ValueError `loftq_config` must be specified when `init_lora_weights` is 'loftq'.
ADALORA {"lora_bias": true, "init_lora_weights": "gaussian"}
    0.14 0.21 ValueError The argument lora_bias=True is only supported with init_lora_weights=True or Fal
ADALORA {"lora_bias": true, "use_dora": true}
    0.14 0.21 ValueError The argument lora_bias=True is not supported for DoRA, please pass use_dora=Fals
ADALORA {"bias": "foo"}
    0.10 0.21 NotImplementedError Requested bias: foo, is not implemented.
ADALORA {"eva_config": {"rho": 0.5}}
    0.21 0.21 ValueError `rho` must be >= 1.0
LORA {"init_lora_weights": "foo"}
    0.10 0.21 ValueError Unknown initialization init_lora_weights='foo'
LORA {"init_lora_weights": "pissa_x"}
    0.10 0.10 ValueError Unknown initialization init_lora_weights='pissa_x'
    0.11 0.21 ValueError init_lora_weights should be 'pissa' or 'pissa_niter_[number of iters]', got piss
LORA {"init_lora_weights": "pissa_niter_x"}
    0.10 0.10 ValueError Unknown initialization init_lora_weights='pissa_niter_x'
    0.11 0.21 ValueError invalid literal for int() with base 10: 'x'
LORA {"init_lora_weights": "corda"}
    0.10 0.14 ValueError Unknown initialization init_lora_weights='corda'
    0.15 0.21 ValueError `eigens` attribute not found for layer, please run `preprocess_corda` first. Mor
LORA {"init_lora_weights": "PISSA"}
    0.10 0.21 ValueError Unknown initialization init_lora_weights='PISSA'
LORA {"init_lora_weights": "eva"}
    0.10 0.13 ValueError Unknown initialization init_lora_weights='eva'
LORA {"init_lora_weights": "olora"}
    0.10 0.11 ValueError Unknown initialization init_lora_weights='olora'
LORA {"init_lora_weights": "orthogonal"}
    0.10 0.15 ValueError Unknown initialization init_lora_weights='orthogonal'
LORA {"init_lora_weights": "mica"}
    0.10 0.19 ValueError Unknown initialization init_lora_weights='mica'
LORA {"init_lora_weights": "lora_ga"}
    0.10 0.18 ValueError Unknown initialization init_lora_weights='lora_ga'
LORA {"init_lora_weights": "pissa"}
    0.10 0.10 ValueError Unknown initialization init_lora_weights='pissa'
LORA {"init_lora_weights": "Loftq"}
    0.10 0.21 ValueError Unknown initialization init_lora_weights='Loftq'
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "lora_dropout": 0.1}
    0.17 0.21 ValueError lora.ParamWrapper does not work with lora_dropout != 0.
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "fan_in_fan_out": true}
    0.17 0.21 ValueError lora.ParamWrapper does not work with fan_in_fan_out.
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "lora_bias": true}
    0.17 0.21 ValueError lora.ParamWrapper does not work with lora_bias=True.
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "use_dora": true}
    0.17 0.21 ValueError lora.ParamWrapper does not work with use_dora=True.
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "velora_config": {}}
    0.20 0.21 ValueError lora.ParamWrapper does not work when `velora_config` is set.
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "kasa_config": {}}
    0.21 0.21 ValueError lora.ParamWrapper does not work when `kasa_config` is set.
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "init_lora_weights": "mica"}
    0.17 0.19 ValueError Unknown initialization init_lora_weights='mica'
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('mica',)
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "alora_invocation_tokens": [1]}
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('alora_invocation_tokens',)
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "monteclora_config": {}}
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('monteclora_config',)
LORA {"target_parameters": ["q_proj.weight"], "target_modules": [], "use_bdlora": {"match_strict": false, "nblocks": 2, "target_modules_bd_a": ["q_proj"]}}
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('use_bdlora',)
LORA {"alora_invocation_tokens": [1], "use_dora": true}
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('alora_invocation_tokens', 'use_dor
LORA {"kasa_config": {}, "use_dora": true}
    0.21 0.21 ValueError Invalid or unsupported variant combination: ('kasa_config', 'use_dora')
LORA {"init_lora_weights": "mica", "use_dora": true}
    0.10 0.19 ValueError Unknown initialization init_lora_weights='mica'
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('mica', 'use_dora')
LORA {"monteclora_config": {}, "use_dora": true}
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('monteclora_config', 'use_dora')
LORA {"use_bdlora": {"match_strict": false, "nblocks": 2, "target_modules_bd_a": ["q_proj"]}, "use_dora": true}
    0.19 0.19 ?
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('use_bdlora', 'use_dora')
LORA {"use_dora": true, "velora_config": {}}
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('use_dora', 'velora_config')
ADALORA {"use_dora": true}
    0.11 0.21 ValueError PeftType.ADALORA does not support DoRA.
ADALORA {"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}}
    0.11 0.21 ValueError PeftType.ADALORA does not support LOFTQ.
ADALORA {"loftq_config": {"loftq_bits": 4}}
    0.11 0.13 ValueError PeftType.ADALORA does not support LOFTQ.
ADALORA {"total_step": null}
    0.15 0.21 ValueError AdaLoRA does not work when `total_step` is None, supply a value > 0.
ADALORA {"total_step": 0}
    0.15 0.21 ValueError AdaLoRA does not work when `total_step` is None, supply a value > 0.
ADALORA {"orth_reg_weight": -1}
    0.20 0.21 ValueError `orth_reg_weight` should be greater than or equal to 0, but the value passed is
ADALORA {"tinit": 9}
    0.15 0.21 ValueError The supplied schedule values don't allow for a budgeting phase. Decrease `tfinal
IA3 {"feedforward_modules": ["x"]}
    0.10 0.21 ValueError `feedforward_modules` should be a subset of `target_modules`
IA3 {"target_modules": [], "feedforward_modules": []}
    0.10 0.16 ?
    0.17 0.20 ValueError No `target_modules` passed but also no `target_parameters` found. Please check t
    0.21 0.21 NoMatchingPeftModuleError No `target_modules` passed but also no `target_parameters` found. Please check t
OFT {"r": 0, "oft_block_size": 0}
    0.14 0.21 ValueError Either `r` or `oft_block_size` must be non-zero. Currently, r = 0 and oft_block_
OFT {"r": 4, "oft_block_size": 4}
    0.14 0.21 ValueError You can only specify either r (4) or oft_block_size (4), but not both simultaneo
BOFT {"boft_block_size": 0, "boft_block_num": 0}
    0.11 0.13 ValueError You must specify either boft_block_size or boft_block_num.
    0.14 0.21 ValueError Either `boft_block_size` or `boft_block_num` must be non-zero. Currently, boft_b
BOFT {"boft_block_size": 4, "boft_block_num": 4}
    0.11 0.21 ValueError You can only specify either boft_block_size (4) or boft_block_num (4), but not b
GRALORA {"gralora_k": 0}
    0.19 0.19 ZeroDivisionError integer modulo by zero
    0.20 0.21 ValueError `gralora_k` should be a positive integer value but the value passed is 0
GRALORA {"gralora_k": 3}
    0.19 0.21 ValueError r should be divisible by gralora_k, but got 4 and 3
GRALORA {"hybrid_r": -1}
    0.19 0.21 ValueError `hybrid_r` should be a non-negative integer value but the value passed is -1
TINYLORA {"u": 0}
    0.19 0.21 ValueError `u` should be a positive integer value but the value passed is 0
TINYLORA {"weight_tying": 2}
    0.19 0.21 ValueError `weight_tying` should be a float between 0.0 and 1.0 but the value passed is 2
TINYLORA {"weight_tying": -1}
    0.19 0.21 ValueError `weight_tying` should be a float between 0.0 and 1.0 but the value passed is -1
UNILORA {"theta_d_length": 0}
    0.20 0.21 ValueError `theta_d_length` should be a positive integer, got 0.
UNILORA {"unilora_dropout": 3}
    0.20 0.21 ValueError `unilora_dropout` should be between 0.0 and 1.0, got 3.
UNILORA {"unilora_dropout": -1}
    0.20 0.21 ValueError `unilora_dropout` should be between 0.0 and 1.0, got -1.
UNILORA {"init_theta_d_bound": 0}
    0.20 0.21 ValueError `init_theta_d_bound` should be a positive float, got 0.
UNILORA {"bias": "foo"}
    0.20 0.21 ValueError `bias` should be 'none', 'all', or 'unilora_only', got foo.
UNILORA {"bias": "lora_only"}
    0.20 0.21 ValueError `bias` should be 'none', 'all', or 'unilora_only', got lora_only.
PEANUT {"depth": -1}
    0.19 0.21 ValueError `depth` can only be a non-negative integer.
PEANUT {"act_fn": "foo"}
    0.19 0.21 ValueError Unsupported `act_fn`: foo. Must be one of ['gelu', 'gelu_10', 'gelu_accurate', '
PSOFT {"ab_svd_init": "x"}
    0.19 0.21 ValueError `ab_svd_init` must be one of ['pissa_init', 'psoft_init']; got 'x'.
PSOFT {"psoft_svd": "x"}
    0.19 0.21 ValueError `psoft_svd` must be one of ['full', 'lowrank']; got 'x'.
PSOFT {"use_cayley_neumann": true, "num_cayley_neumann_terms": 0}
    0.19 0.21 ValueError `num_cayley_neumann_terms` must be a positive integer; got 0.
PSOFT {"use_cayley_neumann": true, "cayley_neumann_eps": 2}
    0.19 0.21 ValueError `cayley_neumann_eps` must be in (0, 1) when set; got 2.
PSOFT {"use_cayley_neumann": true, "cayley_neumann_eps": 0}
    0.19 0.21 ValueError `cayley_neumann_eps` must be in (0, 1) when set; got 0.
ROAD {"variant": "x"}
    0.18 0.21 ValueError Invalid variant x specified. Please choose from road_1, road_2 or road_4
ROAD {"group_size": 3}
    0.18 0.21 ValueError The group_size must be divisible by 2 when using RoadLayer, but got 3.
ROAD {"group_size": 0}
    0.18 0.21 ValueError The group_size must be divisible by 2 when using RoadLayer, but got 0.
FROD {"sparse_rate": 2}
    0.20 0.21 ValueError `sparse_rate` should be between 0 and 1, got 2.
FROD {"sparse_rate": -1}
    0.20 0.21 ValueError `sparse_rate` should be between 0 and 1, got -1.
GLORA {"config_A_B": "x"}
    0.20 0.21 ValueError Invalid config_A_B value: 'x'. Valid values are: constant, lora, none, vector.
GLORA {"config_C": "constant"}
    0.20 0.21 ValueError Invalid config_C value: 'constant'. Valid values are: lora, none, vector.
GLORA {"config_D_E": "lora"}
    0.20 0.21 ValueError Invalid config_D_E value: 'lora'. Valid values are: constant, none, vector.
LILY {"stride_A": 0}
    0.19 0.21 ValueError `stride_A` must be at least 1.
LILY {"num_B": 1}
    0.19 0.21 ValueError `num_B` must be at least 2 for the router to be trained.
WAVEFT {"wavelet_family": "haar"}
    0.18 0.21 ValueError Wavelet family haar not supported. Supported wavelet families are: ['db1', 'db2'
WAVEFT {"n_frequency": 0}
    0.18 0.21 ValueError `n_frequency` should be a positive integer value but the value passed is 0
FOURIERFT {"n_frequency": 0}
    0.12 0.21 ValueError `n_frequency` should be a positive integer value but the value passed is 0
SUPERTUNING {"sparsity": 1.0}
    0.21 0.21 ValueError sparsity must be in [0.0, 1.0), got 1.0
SUPERTUNING {"sparsity": -0.1}
    0.21 0.21 ValueError sparsity must be in [0.0, 1.0), got -0.1
SUPERTUNING {"r": null, "lora_alpha": 4}
    0.21 0.21 ValueError lora_alpha is set but r is None — Supra mode requires an explicit r.
SUPERTUNING {"lora_dropout": 1.0}
    0.21 0.21 ValueError lora_dropout must be in [0.0, 1.0), got 1.0
SUPERTUNING {"lora_dropout": -1}
    0.21 0.21 ValueError lora_dropout must be in [0.0, 1.0), got -1
ADAMSS {"init_weights": "x"}
    0.19 0.21 ValueError init_weights must be 'orthogonal' or None, got x
ADAMSS {"use_asa": true, "mask_interval": 0}
    0.20 0.21 ValueError `mask_interval` must be a positive integer when `use_asa=True`, got 0.
ADAMSS {"use_asa": true, "init_warmup": 9999999}
    0.20 0.21 ValueError `init_warmup` must be smaller than `final_warmup` when `use_asa=True` so that AS
ADAMSS {"use_asa": true, "asa_target_subspaces": 0}
    0.20 0.21 ValueError `asa_target_subspaces` must be a positive integer when `use_asa=True`, got 0.
ADAMSS {"use_asa": true, "asa_schedule_exponent": 0}
    0.20 0.21 ValueError `asa_schedule_exponent` must be a positive number when `use_asa=True`, got 0.
SHADOW {"shadow_model": "x/y", "shadow_hidden_size": 4}
    0.21 0.21 ValueError Explicit `shadow_model` checkpoints define their architecture; unset these mirro
SHADOW {"shadow_model": "x/y", "shadow_hidden_size": 4, "shadow_num_hidden_layers": 1}
    0.21 0.21 ValueError Explicit `shadow_model` checkpoints define their architecture; unset these mirro
DEFT {"decomposition_method": "x"}
    0.20 0.21 ValueError Unknown decomposition_method 'x', must be one of ['qr', 'relu'].
CPT {"task_type": "SEQ_CLS"}
    0.18 0.21 ValueError CPTConfig only supports task_type = CAUSAL_LM.
CPT {"task_type": null}
    0.18 0.21 ValueError CPTConfig only supports task_type = CAUSAL_LM.
CPT {"cpt_mask": [1]}
    0.14 0.21 ValueError cpt_token_ids, cpt_mask and cpt_tokens_type_mask must have the same length.
CPT {"cpt_token_ids": [1]}
    0.14 0.21 ValueError cpt_token_ids, cpt_mask and cpt_tokens_type_mask must have the same length.
CPT {"cpt_tokens_type_mask": [1]}
    0.14 0.21 ValueError cpt_token_ids, cpt_mask and cpt_tokens_type_mask must have the same length.
CPT {"cpt_token_ids": null}
    0.14 0.21 ValueError cpt_token_ids, cpt_mask and cpt_tokens_type_mask must have the same length.
CARTRIDGE {"num_frozen_tokens": -1}
    0.19 0.21 ValueError `num_frozen_tokens` must be >= 0, got -1.
CARTRIDGE {"num_frozen_tokens": 9}
    0.19 0.21 ValueError `num_frozen_tokens` must be <= `num_virtual_tokens`, got num_frozen_tokens=9 and
PROMPT_TUNING {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "a"}
    0.10 0.21 ValueError When prompt_tuning_init='TEXT', tokenizer_name_or_path can't be None.
PROMPT_TUNING {"prompt_tuning_init": "TEXT", "tokenizer_name_or_path": "a"}
    0.10 0.21 ValueError When prompt_tuning_init='TEXT', prompt_tuning_init_text can't be None.
PROMPT_TUNING {"tokenizer_kwargs": {"a": 1}}
    0.10 0.21 ValueError tokenizer_kwargs only valid when using prompt_tuning_init='TEXT'.
MULTITASK_PROMPT_TUNING {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "a"}
    0.14 0.21 ValueError When prompt_tuning_init='TEXT', tokenizer_name_or_path can't be None.
MULTITASK_PROMPT_TUNING {"prompt_tuning_init": "TEXT", "tokenizer_name_or_path": "a"}
    0.14 0.21 ValueError When prompt_tuning_init='TEXT', prompt_tuning_init_text can't be None.
MULTITASK_PROMPT_TUNING {"tokenizer_kwargs": {"a": 1}}
    0.14 0.21 ValueError tokenizer_kwargs only valid when using prompt_tuning_init='TEXT'.
PROMPT_TUNING {"num_virtual_tokens": null}
    0.10 0.21 TypeError unsupported operand type(s) for *: 'NoneType' and 'int'
MULTITASK_PROMPT_TUNING {"num_virtual_tokens": null}
    0.10 0.21 TypeError unsupported operand type(s) for *: 'NoneType' and 'int'
P_TUNING {"num_virtual_tokens": null}
    0.10 0.21 TypeError unsupported operand type(s) for *: 'NoneType' and 'int'
PREFIX_TUNING {"num_virtual_tokens": null}
    0.10 0.21 TypeError empty(): argument 'size' (position 1) must be tuple of ints, but found element o
CARTRIDGE {"num_virtual_tokens": null}
    0.19 0.21 TypeError '>' not supported between instances of 'int' and 'NoneType'
CARTRIDGE {"num_virtual_tokens": 0}
    0.19 0.21 ValueError `num_frozen_tokens` must be <= `num_virtual_tokens`, got num_frozen_tokens=1 and
ADAPTION_PROMPT {"adapter_len": null}
    0.10 0.14 ?
    0.15 0.21 TypeError empty(): argument 'size' failed to unpack the object at pos 2 with error "type m
ADAPTION_PROMPT {"adapter_layers": null}
    0.10 0.14 ?
    0.15 0.21 TypeError '<' not supported between instances of 'int' and 'NoneType'
C3A {"block_size": 0}
    0.16 0.21 ValueError `block_size` should be a positive integer value but the value passed is 0
C3A {"init_weights": "x"}
    0.16 0.21 ValueError Unknown init_weights: x
C3A {"init_weights": null}
    0.16 0.21 ValueError Unknown init_weights: None
HIRA {"init_weights": "x"}
    0.20 0.21 ValueError Unknown initialization init_weights='x'
VBLORA {"topk": 0}
    0.13 0.21 ValueError `topk` 0 should be a positive integer value
POLY {"poly_type": "x"}
    0.10 0.21 ValueError Unsupported poly_type: x. Currently, only the following types are supported: `po
XLORA {"xlora_depth": 0}
    0.12 0.21 ValueError X-LoRA depth must be strictly positive.
OSF {"effective_rank": 0}
    0.18 0.21 ValueError `effective_rank` should be a positive integer value but the value passed is 0
OSF {"effective_rank": -1}
    0.18 0.21 ValueError `effective_rank` should be a positive integer value but the value passed is 0
SHADOW {"shadow_dropout": 3}
    0.21 0.21 ValueError dropout probability has to be between 0 and 1, but got 3
SHADOW {"shadow_dropout": 1.0}
SHADOW {"shadow_dropout": -1}
    0.21 0.21 ValueError dropout probability has to be between 0 and 1, but got -1
VBLORA {"vblora_dropout": 3}
    0.13 0.21 ValueError dropout probability has to be between 0 and 1, but got 3
VBLORA {"vblora_dropout": 1.0}
VBLORA {"vblora_dropout": -1}
DELORA {"module_dropout": 3}
    0.18 0.21 ValueError dropout probability has to be between 0 and 1, but got 3
DELORA {"module_dropout": -1}
LORA {"lora_dropout": -1}
LORA {"lora_dropout": 1.0}
BOFT {"bias": "lora_only"}
    0.11 0.17 NotImplementedError Requested bias: lora_only, is not implemented.
FOURIERFT {"bias": "lora_only"}
    0.12 0.17 NotImplementedError Requested bias: lora_only, is not implemented.
OFT {"bias": "foo"}
    0.14 0.21 NotImplementedError Requested bias: foo, is not implemented.
BONE {"bias": "foo"}
    0.14 0.18 NotImplementedError Requested bias: foo, is not implemented.
WAVEFT {"bias": "foo"}
    0.18 0.21 NotImplementedError Requested bias: foo, is not implemented.
WAVEFT {"bias": "lora_only"}
BOFT {"target_modules": []}
    0.11 0.16 ValueError Target modules set() not found in the base model. Please check the target module
    0.17 0.20 ValueError No `target_modules` passed but also no `target_parameters` found. Please check t
    0.21 0.21 NoMatchingPeftModuleError No `target_modules` passed but also no `target_parameters` found. Please check t
BONE {"target_modules": []}
    0.14 0.16 ValueError Target modules set() not found in the base model. Please check the target module
    0.17 0.18 ValueError No `target_modules` passed but also no `target_parameters` found. Please check t
C3A {"target_modules": []}
    0.16 0.16 ValueError Target modules set() not found in the base model. Please check the target module
    0.17 0.20 ValueError No `target_modules` passed but also no `target_parameters` found. Please check t
    0.21 0.21 NoMatchingPeftModuleError No `target_modules` passed but also no `target_parameters` found. Please check t
FROD {"target_modules": []}
    0.20 0.21 ValueError No layer types compatible with FRoD were found. Please check `peft_config.target
SHADOW {"target_modules": []}
    0.21 0.21 NoMatchingPeftModuleError No `target_modules` passed but also no `target_parameters` found. Please check t
TRAINABLE_TOKENS {"target_modules": []}
    0.15 0.16 ?
    0.17 0.20 ValueError No `target_modules` passed but also no `target_parameters` found. Please check t
    0.21 0.21 NoMatchingPeftModuleError No `target_modules` passed but also no `target_parameters` found. Please check t
VERA {"target_modules": []}
    0.11 0.21 ValueError No layers types compatible with VeRA were found. Please check `peft_config.targe
LORA {"arrow_config": {"top_k": 3, "router_temperature": 1.0}, "use_dora": true}
    0.18 0.19 AttributeError 'dict' object has no attribute 'top_k'
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('arrow_config', 'use_dora')
LORA {"arrow_config": {"top_k": 3, "router_temperature": 1.0}, "init_lora_weights": "mica"}
    0.18 0.19 ValueError Unknown initialization init_lora_weights='mica'
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('arrow_config', 'mica')
LORA {"arrow_config": {"top_k": 3, "router_temperature": 1.0}, "target_parameters": ["q_proj.weight"], "target_modules": []}
    0.20 0.21 ValueError Invalid or unsupported variant combination: ('arrow_config',)
LORA {"arrow_config": {"top_k": 3, "router_temperature": 1.0}}
    0.18 0.20 AttributeError 'dict' object has no attribute 'top_k'
    0.21 0.21 AttributeError 'NoneType' object has no attribute 'copy'
OSF {"effective_rank": -5}
    0.18 0.21 ValueError `effective_rank` should be a positive integer value but the value passed is 0
"""  # noqa: E501


def _cases() -> Iterator[tuple[str, dict[str, Any], list[list[str]]]]:
    for block in RECORDED.strip().split("\n"):
        if not block.startswith(" "):
            name, patch = block.split(" ", 1)
            lines: list[list[str]] = []
            yield name, json.loads(patch), lines
        else:
            lines.append(block.split(maxsplit=3))


CASES = list(_cases())


def config_of(peft_type: str, patch: dict[str, Any]) -> dict[str, Any]:
    return {"peft_type": peft_type, "target_modules": ["q_proj"]} | GOOD.get(peft_type, {}) | patch


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {json.dumps(case[1])}")
def test_refusal_comes_first_in_the_releases_where_it_was_seen_and_in_no_other(
    case: tuple[str, dict[str, Any], list[list[str]]],
) -> None:
    peft_type, patch, lines = case
    keys = [fields_of(peft_type)[key] for key in ("peft_type", *patch)]
    for release in RELEASES:
        if not all(in_range(release, key.since, key.until) for key in keys):
            continue
        refused = refusals(peft_type, config_of(peft_type, patch), release=release)
        found = [(refusal.error, refusal.text) for refusal in refused]
        recorded = next((line[2:] for line in lines if in_range(release, line[0], line[1])), None)
        if recorded is None:
            assert not found, release
        elif recorded != ["?"]:
            error, text = recorded
            assert found, release
            assert found[0][0] == error
            assert found[0][1].startswith(text)


@pytest.mark.parametrize("peft_type", METHODS)
def test_config_that_loads_is_not_refused(peft_type: str) -> None:
    config = config_of(peft_type, {})
    assert not list(refusals(peft_type, config, release="0.21.2"))
    full = {key: field.default for key, field in fields_of(peft_type).items()} | config
    assert not list(refusals(peft_type, full, release="0.21.2"))


@pytest.mark.parametrize(
    ("peft_type", "patch", "pointer", "where"),
    [
        ("ADALORA", {"orth_reg_weight": -1}, "/orth_reg_weight", "config"),
        ("ADALORA", {"total_step": None}, "/total_step", "config"),
        ("LORA", {"eva_config": {"rho": 0.5}}, "/eva_config/rho", "config"),
        ("LORA", {"lora_bias": True, "use_dora": True}, "/lora_bias", "config"),
        ("LORA", {"bias": "lora"}, "/bias", "injection"),
        ("LORA", {"init_lora_weights": "orthogonal", "r": 5}, "/r", "factors"),
        ("LORA", {"init_lora_weights": "mica", "alora_invocation_tokens": [1]}, "/init_lora_weights", "injection"),
        ("LORA", {"use_dora": True, "alora_invocation_tokens": [1]}, "/use_dora", "injection"),
        ("LORA", {"target_parameters": ["a.b"], "lora_dropout": 0.1}, "/lora_dropout", "injection"),
        ("LORA", {"target_modules": []}, "/target_modules", "injection"),
        ("SHADOW", {"shadow_model": "a/b", "shadow_hidden_size": 4}, "/shadow_hidden_size", "config"),
        ("C3A", {"init_weights": "he"}, "/init_weights", "injection"),
    ],
)
def test_refusal_points_at_the_value_to_change(peft_type: str, patch: dict[str, Any], pointer: str, where: str) -> None:
    first = next(refusals(peft_type, config_of(peft_type, patch), release="0.21"))
    assert (first.pointer, first.where) == (pointer, where)
    assert peft_type in first.types


def test_old_oft_config_is_refused_since_0_14_whatever_its_rank() -> None:
    found = list(refusals("OFT", {"r": 8, "target_modules": ["q_proj"]}))
    assert [refusal.text[:39] for refusal in found] == ["OFT has been updated since PEFT 0.14.0."]
    assert [bool(list(refusals("OFT", {"r": 8}, release=release))) for release in ("0.14", "0.13")] == [True, False]


def test_embeddings_take_any_word_for_their_initialisation() -> None:
    config = {"init_lora_weights": "anything", "target_modules": ["model.embed_tokens"]}
    assert not list(refusals("LORA", config))


def test_without_targets_peft_has_other_words_where_modules_are_saved() -> None:
    config = {"target_modules": [], "modules_to_save": ["lm_head"]}
    first = next(refusals("LORA", config, release="0.21"))
    assert (first.error, first.text) == ("NoMatchingPeftModuleError", "No modules were targeted for adaptation")


def test_an_unknown_type_is_never_refused() -> None:
    assert not list(refusals("FINEGATES", {"r": 0, "bias": "x"}))


ODD: list[Any] = [None, True, -1, 1.5, float("inf"), float("nan"), 10**400, "x", "", [], [1], [[1]], {}, {"rho": "x"}]


@pytest.mark.parametrize("peft_type", METHODS)
def test_no_value_of_any_type_makes_it_stumble(peft_type: str) -> None:
    for key, value in product(fields_of(peft_type), ODD):
        list(refusals(peft_type, {key: value}))
    for value in ODD:
        list(refusals(peft_type, dict.fromkeys(fields_of(peft_type), value)))


@pytest.mark.parametrize(("parameters", "refused"), [(["mlp.experts"], True), ([-1], False), ([-1, "a"], False)])
def test_what_names_no_parameter_wraps_none(parameters: list[Any], refused: bool) -> None:
    config = {"peft_type": "LORA", "target_modules": ["q_proj"], "target_parameters": parameters, "use_dora": [1]}
    assert bool(list(refusals("LORA", config, release="0.21"))) is refused
