"""Words that the table was not written around: what is meant beyond doubt, what is asked, what has no key."""

import pytest

from ablate.plans.match import match_metric, match_part, match_value
from ablate.plans.vocabulary import vocabulary

SURE = {
    "Adapter rank r used by LoRA": "rank",
    "rank (r) of the low-rank update matrices": "rank",
    "low-rank adaptation rank": "rank",
    "How many attention heads are adapted per block": "heads",
    "Sparsity level of the MLP update": "sparsity",
    "Gradient-norm based choice of attention heads: the selection criterion": "selection",
    "Parameter-selection strategy in LoRSU": "selection",
    "Selective MLP updates": "mlp-update",
    "the update of the attention heads": "attention-update",
    "PEFT method": "method",
    "LoRSU": "method",
    "Full fine-tuning": "method",
    "whether the vision tower is frozen or not": "freeze",
    "Frozen visual backbone": "freeze",
    "Unfreezing the vision encoder": "unfreeze",
    "SigLIP vision tower": "encoder",
    "Visual backbone architecture": "encoder",
    "Training objective": "loss",
    "contrastive loss": "loss",
    "peak LR": "learning-rate",
    "learning rate or step size": "learning-rate",
    "Encoder learning rate": "encoder-learning-rate",
    "Cosine learning-rate schedule": "schedule",
    "Linear warm-up phase": "warmup",
    "mini-batch size": "batch-size",
    "Number of training epochs": "epochs",
    "number of few-shot examples per class": "shots",
    "Number of continual-learning sessions": "sessions",
    "EWC regularisation": "ewc",
    "input image resolution": "image-size",
    "share of text-only data": "text-share",
}
ASKED = {
    "Rank of the projection matrices": ("rank", "projection"),
    "rank of the experts": ("rank", "expert"),
    "Learning rate clipping bounds": ("learning-rate", "clipping"),
    "learning rate of the language model": ("learning-rate", "language"),
    "learning rate for feedback matrix updates": ("learning-rate", "feedback"),
    "ranking-based NCE loss": ("loss", "nce"),
    "contrastive loss margin": ("loss", "margin"),
    "ASPP module and ResNet-50 backbone": ("encoder", "aspp"),
    "training dataset order": ("data", "order"),
    "LoRA-based activator": ("method", "activator"),
    "amount of training data": ("shots", "may mean"),
    "Number of parameters updated": ("sparsity", "may mean"),
}
WITHOUT_KEY = {
    "Number of experts": "number of experts",
    "Router component": "number of experts",
    "Architecture of the image projection block": "projector",
    "Fine-tuning of the language model": "method@language",
    "LLM backbone": "language model over shipped",
    "LoRA dropout": "dropout",
    "Data augmentation": "augmentation",
    "Number of layers": "how deep",
    "Memory bank": "as far as its words are known",
    "Tokenizer": "as far as its words are known",
    "": "as far as its words are known",
    "é" * 600: "as far as its words are known",
}


@pytest.mark.parametrize("text", SURE)
def test_a_part_beyond_doubt(text):
    part = match_part(text)
    assert (part.fits, part.doubt) == ((SURE[text],), None)


@pytest.mark.parametrize("text", ASKED)
def test_a_part_that_is_asked_about(text):
    topic, doubt = ASKED[text]
    part = match_part(text)
    assert topic in part.fits
    assert doubt in part.doubt


@pytest.mark.parametrize("text", WITHOUT_KEY)
def test_a_part_without_a_key(text):
    part = match_part(text)
    assert part.fits == ()
    assert WITHOUT_KEY[text] in part.doubt


def test_a_method_beside_what_is_varied_is_kept():
    assert match_part("Rank of LoRA").named == {"method": ("lora",)}
    assert match_part("learning rate of DoRA").named == {"method": ("dora",)}
    assert match_part("Rank of low-rank updates").named == {}


VALUES = {
    ("encoder", "DINO-SigLIP"): "dino-siglip",
    ("encoder", "a ResNet-50 encoder"): "resnet",
    ("encoder", "OpenAI CLIP ViT-L/14"): "clip",
    ("encoder", "ViT"): "vit",
    ("encoder", "ResNet-101"): None,
    ("encoder", "EVA-CLIP"): None,
    ("encoder", "ViT trained by MAE"): None,
    ("encoder", "ConvNeXt"): None,
    ("freeze", "Unfreeze encoder weights"): "full",
    ("freeze", "keep it frozen"): None,
    ("freeze", "unfreeze the last two layers"): None,
    ("method", "Low-Rank Adaptation"): "lora",
    ("method", "full-parameter tuning"): "full",
    ("method", "LoRA on the language model"): "lora-l",
    ("method", "QLoRA"): None,
    ("method", "no LoRA"): None,
    ("loss", "CLIP's contrastive loss"): "clip",
    ("loss", "next-token prediction loss"): "lm",
    ("loss", "InfoNCE"): None,
    ("optimizer", "AdamW"): "adamw",
    ("optimizer", "SGD"): None,
    ("components", "attention and MLP"): None,
    ("components", "MLP-only update"): "lorsu-mlp",
    ("selection", "randomly selected heads"): "random",
}


@pytest.mark.parametrize("case", VALUES, ids=": ".join)
def test_values(case):
    topic, text = case
    match, _ = match_value(text, vocabulary().topics[topic], ())
    assert (match.fits[0] if match.doubt is None else None) == VALUES[case]


METRICS = {
    "vision stable score": "vision_stable_score",
    "Text Stable Score": "text_stable_score",
    "Target Improvement accuracy": "target_improvement",
    "Average Control Change": "control_change",
    "VQA accuracy": "accuracy",
    "peak GPU memory (GB)": "peak_memory_bytes",
    "number of trainable parameters": "trainable_parameters",
    "training time": "train_seconds",
    "top-5 accuracy": None,
    "accuracy on ImageNet": None,
    "ACC": None,
    "VQA-v2": None,
    "GQA accuracy": None,
    "F1": None,
    "inference latency": None,
}


@pytest.mark.parametrize("text", METRICS)
def test_metrics(text):
    match = match_metric(text, ("vqav2", "gqa"))
    assert (match.fits[0] if match.doubt is None else None) == METRICS[text]
