"""The catalogue: what every PEFT type is, one entry a type, each in one place.

    lora         LORA ADALORA
    lycoris      LOHA LOKR
    low_rank     HIRA DELORA DEFT GRALORA LILY PEANUT POLY MISS BONE GLORA ADAMSS
    shared       VERA PVERA RANDLORA VBLORA UNILORA TINYLORA FROD
    orthogonal   OFT BOFT HRA PSOFT ROAD OSF
    sparse       FOURIERFT WAVEFT C3A SHIRA SUPERTUNING
    plain        IA3 BEFT LN_TUNING TRAINABLE_TOKENS
    prompts      PROMPT_TUNING P_TUNING CPT PREFIX_TUNING CARTRIDGE MULTITASK_PROMPT_TUNING ADAPTION_PROMPT
    whole_model  SHADOW XLORA

**To read an entry.** It says what `peft/tuners/<name>/layer.py` and `model.py` of PEFT 0.21.2 do; where a release from
0.10 on did otherwise, `since=` and `until=` (both included) say so. W is the weight of the module.

    HIRA = Method(
        name="HIRA",
        since="0.20",
        prefix="hira_",
        forms=(                                  # what an adapter has on each kind of module that it takes:
            ...
            Form(
                on=(EMBEDDING,),
                parameters=(                     # a file has `<module>.hira_embedding_A`, with `r` rows and as many
                    Parameter("hira_embedding_A", (R, IN), begins=IDLE),  # columns as there are embeddings; zeros in a
                    Parameter("hira_embedding_B", (OUT, R)),              # new adapter, which does nothing then
                ),
            ),
            ...
        ),
        refuses=VALUE_ERROR,                     # what PEFT raises at other kinds of modules
        patterns={"r": Patterned("rank_pattern", for_first=False)},  # other ranks, but for the first adapter
        ...
    )

Shapes are terms (`shapes`): `R` and `key("...")` are values of the config, `IN` and `OUT` sizes of the module. What
stands at the `top` is in a file once. `parameter` has what `Form`, `Parameter` and `Demand` say, `method` the rest.
What is so for most types, an entry leaves out.

**Who reads them**: `expected` (which parameters there are on a module), `said` (what config and base say of it),
`compared` (what a file has against that), and the simulation (`peft/tuner_layers.py` above all). Steps of a
method's own that no entry can say are in `peft/particular.py`, what X-LoRA and adaption prompts do in `experts` and
`adaption` beside it.
"""

from adapterlint.peft.methods.catalogue import METHODS, suggest_type, tensor_prefix
from adapterlint.peft.methods.method import Method

__all__ = ["METHODS", "Method", "suggest_type", "tensor_prefix"]
