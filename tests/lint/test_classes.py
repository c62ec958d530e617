"""Into which class of a base adapters are loaded."""

from __future__ import annotations

import pytest

from adapterlint.lint.classes import tree_for
from adapterlint.lint.example import DROP, HIDDEN, Patch, base_of
from adapterlint.peft.footprint import footprint_of

SCORE = {"base_model.model.score.weight": ("F32", (2, HIDDEN))}
HEADLESS = ("base_model.model.model.", "base_model.model.")
CAUSAL, BARE, LABELS = "LlamaForCausalLM", "LlamaModel", "LlamaForSequenceClassification"


def chosen(own: str | None, *patches: Patch) -> str | None:
    base = base_of(Patch(base={"architectures": [own] if own else None}))
    assert base is not None
    loaded = []
    for patch in patches:
        adapter = patch.adapter()
        touched = footprint_of(adapter)
        assert adapter.config is not None
        assert touched is not None
        loaded.append((adapter.config, touched))
    return tree_for(base, loaded, "5.23.0").architecture


@pytest.mark.parametrize(
    ("own", "patch", "architecture"),
    [
        (CAUSAL, Patch(), CAUSAL),
        (CAUSAL, Patch({"task_type": "SEQ_CLS"}, SCORE), LABELS),
        (CAUSAL, Patch({"task_type": "SEQ_CLS"}), LABELS),  # it has the head that the task needs
        (LABELS, Patch({"task_type": "SEQ_CLS"}, SCORE), LABELS),
        (LABELS, Patch(), LABELS),  # no module is missing there
        (CAUSAL, Patch({"task_type": "FEATURE_EXTRACTION"}), CAUSAL),  # its modules are called as in this class
        (CAUSAL, Patch({"task_type": "FEATURE_EXTRACTION"}, rename=HEADLESS), BARE),
        (BARE, Patch(), CAUSAL),
        (CAUSAL, Patch({"task_type": None}), CAUSAL),
        (CAUSAL, Patch({"task_type": None}, rename=HEADLESS), BARE),
        (BARE, Patch({"task_type": None}, rename=HEADLESS), BARE),
        (BARE, Patch({"task_type": None}), CAUSAL),
        (
            CAUSAL,
            Patch(
                {"task_type": None, "modules_to_save": ["score"], "auto_mapping": {"base_model_class": LABELS}}, SCORE
            ),
            LABELS,
        ),
        (CAUSAL, Patch({"task_type": None, "auto_mapping": {"base_model_class": "Nonsense"}}), CAUSAL),
        (None, Patch({"task_type": "SEQ_CLS"}, SCORE), LABELS),
        (None, Patch({"task_type": DROP}), CAUSAL),
        (CAUSAL, Patch({"task_type": ["SEQ_CLS"]}), CAUSAL),
    ],
)
def test_the_class_of_the_config_unless_the_adapter_fits_another_one_better(
    own: str | None, patch: Patch, architecture: str
) -> None:
    assert chosen(own, patch) == architecture


def test_the_members_of_a_fleet_choose_together_whoever_comes_first() -> None:
    labels, chat = Patch({"task_type": "SEQ_CLS"}, SCORE), Patch()
    assert chosen(CAUSAL, labels, chat) == chosen(CAUSAL, chat, labels) == LABELS
    features = Patch({"task_type": "FEATURE_EXTRACTION"})
    assert chosen(CAUSAL, features, chat) == CAUSAL
