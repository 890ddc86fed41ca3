"""What becomes of an ablation: key, values, baseline and metrics, or the question."""

import pytest
from tests.plans.plans import STABLE, imported, planned

from ablate.plans.outcome import AFTER_A_CHOICE, NOT_EXPRESSIBLE, RUNNABLE

SURE = {
    "LoRA's rank": (
        planned("LoRA rank", "REPLACE", "4, 8 and 16"),
        ("method.rank", [64, 4, 8, 16], 64),
    ),
    "a learning rate that is told": (
        planned("Peak learning rate (1e-3)", "REPLACE", "3 x 10^-4", "3e-3"),
        ("train.learning_rate", [1e-3, 3e-4, 3e-3], 1e-3),
    ),
    "shots in words": (
        planned("Training images per class", "REPLACE", "five", "twenty shots", "50 (default)"),
        ("data.shots", [5, 20, 50], 50),
    ),
    "loss": (
        planned("Training objective", "REPLACE", "CLIP's contrastive loss"),
        ("loss", ["lm", "clip"], "lm"),
    ),
    "batch sizes, a range": (
        planned("Mini-batch size", "REPLACE", "8 to 64, doubling"),
        ("train.batch_size", [8, 16, 32, 64], 32),
    ),
    "methods, one unknown": (
        planned("PEFT method", "REPLACE", "LoRA; DoRA; full fine-tuning; (IA)^3"),
        ("method", ["lorsu", "lora", "dora", "full"], "lorsu"),
    ),
    "a method in the part": (
        planned("low-rank adaptation of the image encoder", "REPLACE", "full-parameter tuning"),
        ("method", ["lora", "full"], "lora"),
    ),
    "shares": (
        planned("Sparsity of the MLP update", "REPLACE", "1 %", "ten percent"),
        ("method.sparsity", [0.01, 0.1], 0.1),
    ),
    "heads by chance": (
        planned("Selection of attention heads", "REPLACE", "random heads"),
        ("method.selection", ["gradient", "random"], "gradient"),
    ),
    "no MLP update": (
        planned("Selective MLP updates in LoRSU", "REMOVE"),
        ("method", ["lorsu", "lorsu-attention"], "lorsu"),
    ),
    "no attention update": (
        planned("attention head updates", "REMOVE"),
        ("method", ["lorsu", "lorsu-mlp"], "lorsu"),
    ),
    "no weight decay": (
        planned("weight decay", "REMOVE"),
        ("train.weight_decay", [0.01, 0.0], 0.01),
    ),
    "warm-up added": (planned("Warm-up", "ADD"), ("train.warmup_fraction", [0.0, 0.1], 0.0)),
    "no EWC": (
        planned("elastic weight consolidation", "REMOVE"),
        ("method", ["ewc", "full"], "ewc"),
    ),
    "no freezing": (
        planned("Frozen vision tower", "REMOVE", metrics=STABLE),
        ("method", ["frozen", "full"], "frozen"),
    ),
    "unfreezing added": (
        planned("Unfreezing of the visual encoder", "ADD", metrics=STABLE),
        ("method", ["frozen", "full"], "frozen"),
    ),
    "unfreezing removed": (
        planned("Unfreezing of the visual encoder", "REMOVE", metrics=STABLE),
        ("method", ["full", "frozen"], "full"),
    ),
    "no encoder": (
        planned("Vision encoder", "REMOVE", metrics=STABLE),
        ("encoder", ["tiny-siglip", "tiny-patches"], "tiny-siglip"),
    ),
    "sessions": (
        planned("Number of sessions", "REPLACE", "2, 4", metrics=["forgetting"]),
        ("data.sessions", [1, 2, 4], 1),
    ),
    "a word twice": (planned("rank", "REPLACE", "8", "8", "64"), ("method.rank", [8, 64], 64)),
}

ASKED = {
    "a range without a step": (
        planned("rank", "REPLACE", "8 to 256"),
        "what is meant by '8 to 256'",
    ),
    "all of them": (planned("number of heads", "REPLACE", "1", "all"), "what is meant by 'all'"),
    "near an encoder": (
        planned("vision encoder", "REPLACE", "ResNet", "EVA-CLIP", metrics=STABLE),
        "what is meant by 'EVA-CLIP'",
    ),
    "which is off": (
        planned("LoRSU's gradient-based head selection", "REMOVE"),
        "the value that leaves it out: random or first",
    ),
    "a method removed": (
        planned("LoRSU", "REMOVE"),
        "the value that leaves it out: frozen or full",
    ),
    "nothing to compare": (planned("rank", "REPLACE"), "the values that it is compared with"),
    "no metric": (planned("rank", "REPLACE", "8", metrics=()), "its metrics"),
    "a metric that is not filled": (planned("vision encoder", "REPLACE", "ResNet"), "its metrics"),
    "null": (planned("image resolution", "REPLACE", "224", metrics=STABLE), "its baseline"),
    "two methods": (planned("rank of LoRA and DoRA", "REPLACE", "8"), "names lora and dora"),
    "an encoder that is not there": (
        planned("LoRA rank in the ResNet", "REPLACE", "8"),
        "the encoder: the part names tiny-resnet",
    ),
    "how much data": (planned("amount of training data", "REPLACE", "10%"), "perhaps data.shots"),
    "unknown words": (
        planned("rank of the experts", "REPLACE", "8"),
        "not understood in it: expert",
    ),
}

NOT_HERE = {
    "experts": (
        planned("Number of experts", "REPLACE", "2", "4"),
        "no key varies the number of experts",
    ),
    "no such encoders": (
        planned("vision encoder", "REPLACE", "C3D", "I3D"),
        "no value of encoder is known as",
    ),
    "not switched": (
        planned("batch size", "REMOVE"),
        "no value of train.batch_size switches it off",
    ),
    "no such key with the method": (
        planned("number of heads of LoRA", "REPLACE", "2"),
        "no key method.top_k_heads",
    ),
    "an action": (
        planned("rank", "SWAP", "8"),
        "its action is 'SWAP'; allowed: REPLACE, REMOVE, ADD",
    ),
    "no part": (planned("", "REMOVE"), "as far as its words are known"),
}


@pytest.mark.parametrize("case", SURE)
def test_beyond_doubt(case):
    ablation, (key, values, baseline) = SURE[case]
    (outcome,) = imported(ablation)
    assert outcome.verdict == RUNNABLE, outcome.reasons
    (draft,) = outcome.drafts
    assert (draft.key, list(draft.values), draft.baseline) == (key, values, baseline)
    assert draft.because


@pytest.mark.parametrize("case", ASKED)
def test_a_question_and_no_guess(case):
    ablation, question = ASKED[case]
    (outcome,) = imported(ablation)
    assert outcome.verdict == AFTER_A_CHOICE
    assert any(question in reason for reason in outcome.reasons), outcome.reasons


@pytest.mark.parametrize("case", NOT_HERE)
def test_not_expressible(case):
    ablation, reason = NOT_HERE[case]
    (outcome,) = imported(ablation)
    assert (outcome.verdict, outcome.name, outcome.drafts) == (NOT_EXPRESSIBLE, None, ())
    assert any(reason in one for one in outcome.reasons), outcome.reasons


def test_the_part_chooses_the_method():
    (outcome,) = imported(planned("LoRA rank", "REPLACE", "8"))
    assert outcome.drafts[0].settings.groups == {"method": "lora"}
    (outcome,) = imported(planned("LoRA rank", "REPLACE", "8"), base="method=dora")
    assert "--base says dora" in outcome.reasons[0]


def test_the_base_comes_before_the_settings():
    (outcome,) = imported(
        planned("loss", "REPLACE", "contrastive loss"), base="train.learning_rate=1e-4"
    )
    assert outcome.drafts[0].settings.keys == {"train.learning_rate": 1e-4}
    (outcome,) = imported(planned("loss", "REPLACE", "contrastive loss"), base="model=llava-1.5-7b")
    assert outcome.drafts[0].settings.keys == {}
    (outcome,) = imported(planned("rank", "REPLACE", "8"), base="data.nope=1")
    assert outcome.verdict == NOT_EXPRESSIBLE
    assert "--base does not fit it" in outcome.reasons[0]


def test_a_value_that_the_key_does_not_take_is_left_out():
    (outcome,) = imported(planned("rank", "REPLACE", "-8", "99999999", "16"))
    (draft,) = outcome.drafts
    assert draft.values == (64, 16)
    assert [doubt.text for doubt in draft.doubts] == ["-8", "99999999"]


def test_a_score_brings_its_suite():
    def tasks(*metrics, base=""):
        (outcome,) = imported(planned("rank", "REPLACE", "8", metrics=metrics), base=base)
        return outcome.drafts[0].settings.groups.get("tasks")

    assert tasks("accuracy") is None
    assert tasks("vision stable score") == "tiny"
    assert tasks(*STABLE, base="model=llava-1.5-7b") == "full"
    assert tasks(*STABLE, base="tasks=core") == "core"


def test_metrics_that_are_none_are_left_out():
    (outcome,) = imported(
        planned("rank", "REPLACE", "8", metrics=["accuracy", "BLEU", "forgetting", "GQA"])
    )
    measured = outcome.drafts[0].measured
    assert measured.columns == ("accuracy",)
    assert [doubt.text for doubt in measured.doubts] == ["BLEU", "forgetting", "GQA"]
    assert "between sessions" in measured.doubts[1].reason
    assert "tasks.csv" in measured.doubts[2].reason
