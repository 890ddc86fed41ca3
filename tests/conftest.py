"""A complete vision-language model with random weights, small enough for every test."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from ablate.cli.run import run
from ablate.models.saving import save_model
from ablate.models.vlm import VisionLanguageModel

_CORPUS = [
    "USER: <image> what shape is there? ASSISTANT: a red circle, a blue square, a small triangle",
    "Answer with the option's letter from the given choices directly. A. B. C. D. E.",
]
_IMAGE_SIZE_PX = 16
# How a random model is prompted and trained: it has no chat template, and real recipes are too gentle for it.
OWN_WORDS = (
    "model=llava",
    "train=tiny",
    "model.name=random",
    "model.scoring=answers",
    'model.prompt="<image>\n{question}\nanswer:"',
    'model.turn="\n{question}\nanswer:"',
)


def train_tokenizer(special: list[str], template: str, max_tokens: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE in which common words are one token and rare ones are several."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )


def build_tiny_random_vlm(seed: int = 0) -> VisionLanguageModel:
    """Build a model whose weights are large enough for answers to differ between items."""
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(["<pad>", "<s>", "</s>", "<image>"], "<s> $A", 512)
    clip_tokenizer = train_tokenizer(["<pad>", "<s>", "</s>"], "<s> $A </s>", 48)
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=_IMAGE_SIZE_PX,
        patch_size=8,
        projection_dim=24,
    )
    text = CLIPTextConfig(
        vocab_size=len(clip_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=48,
        projection_dim=24,
        bos_token_id=clip_tokenizer.bos_token_id,
        eos_token_id=clip_tokenizer.eos_token_id,
        pad_token_id=clip_tokenizer.pad_token_id,
    )
    language = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    llava = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision,
            text_config=language,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
        )
    )
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    # Initial weights this small would give every image and every text nearly the same features.
    with torch.no_grad():
        for part in (llava.model.vision_tower, llava.model.multi_modal_projector, clip.text_model):
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.4)
    image_processor = CLIPImageProcessorPil(
        size={"shortest_edge": _IMAGE_SIZE_PX},
        crop_size={"height": _IMAGE_SIZE_PX, "width": _IMAGE_SIZE_PX},
    )
    prompt = "USER: <image>\n{question} ASSISTANT:"
    vlm = VisionLanguageModel(llava, clip, tokenizer, clip_tokenizer, image_processor, prompt)
    return vlm.eval()


def in_float64(vlm: VisionLanguageModel) -> VisionLanguageModel:
    """Compute in float64 throughout: transformers' own RMSNorm does in float32 whatever the weights are."""
    for path, module in list(vlm.named_modules()):
        if isinstance(module, LlamaRMSNorm):
            norm = nn.RMSNorm(len(module.weight), eps=module.variance_epsilon)
            norm.weight = module.weight
            vlm.set_submodule(path, norm)
    return vlm.double()


@pytest.fixture
def tiny_random_vlm() -> VisionLanguageModel:
    return build_tiny_random_vlm()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model on disk, in the form that `save_model=true` writes."""
    folder = tmp_path_factory.mktemp("random") / "model"
    save_model(build_tiny_random_vlm(), folder, folder.with_name("partial"))
    return folder


@pytest.fixture
def arguments(model_folder: Path, tmp_path: Path) -> list[str]:
    """What makes `ablate run` quick: the random model, few digits, one short epoch."""
    return [
        *OWN_WORDS,
        f"model.llava={model_folder}",
        f"model.clip={model_folder / 'clip'}",
        f"output_dir={tmp_path / 'outputs'}",
        "data=digits",
        "~data@controls.source",
        "data.shots=3",
        "data.test_items=40",
        "train.epochs=1",
    ]


@pytest.fixture
def ablate_run(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, Path]]:
    """Call `ablate run` in this process; return its exit code and the output folder.

    A word takes the place of the fixture's own word for the same key.
    """
    monkeypatch.setattr(sys, "argv", ["ablate"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def call(*words: str) -> tuple[int, Path]:
        return run(instead(arguments, words)), tmp_path / "outputs"

    return call


def instead(arguments: Sequence[str], words: Sequence[str]) -> list[str]:
    """Add words to a command line, each in the place of another word for the same key."""
    given = {word.partition("=")[0] for word in words}
    return [*(word for word in arguments if word.partition("=")[0] not in given), *words]


def read_results(sweep: Path) -> pd.DataFrame:
    return pd.read_csv(sweep / "results.csv")
