"""The world's own text and the tokenizer trained on it."""

from collections.abc import Iterator

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from ablate.world import glyphs, questions
from ablate.world.scenes import COLOURS, SHAPES, Scenes, sample_scenes
from tiny.config import BuildConfig

# `</s>` is not 2: CLIPTextModel takes eos_token_id=2 for an old checkpoint and pools another token.
SPECIAL_TOKENS = ("<pad>", "<s>", "<image>", "</s>")
PAD_ID, BOS_ID, IMAGE_ID, EOS_ID = range(4)
GLYPH_QUESTION = "what is this?"


def caption(scenes: Scenes, scene: int, templates: list[str], choice: int) -> tuple[str, bool]:
    """Say what is in a scene, in one of several ways.

    Args:
        scenes: The scenes.
        scene: Which of them.
        templates: Frames of a one-object caption.
        choice: Any number; decides the frame and whether colour or places are told.

    Returns:
        The caption and whether it names the colour of a scene's only object.
    """
    objects = scenes.objects(scene)
    if len(objects) > 1:
        return questions.describe(scenes, scene, places=bool(choice % 2)), True
    shape = SHAPES[scenes.shape[scene, objects[0]]]
    colour = COLOURS[scenes.colour[scene, objects[0]]]
    frame = templates[choice // 2 % len(templates)]
    return frame.format(f"{colour} {shape}" if choice % 2 else shape), bool(choice % 2)


def world_texts(config: BuildConfig) -> Iterator[str]:
    """Yield captions, questions and answers of some scenes and the names of glyphs."""
    indices = np.arange(config.tokenizer.scenes)
    scenes = sample_scenes(f"text-{config.seed}", indices, 1 + indices % 4)
    for scene in range(len(scenes)):
        yield caption(scenes, scene, config.templates, scene)[0]
        for kind, ask in questions.QUESTIONS.items():
            if len(scenes.objects(scene)) == 1 or kind not in questions.ONE_OBJECT_QUESTIONS:
                item = ask(scenes, scene)
                yield config.prompt.replace("<image>", "").format(question=item.text)
                yield f" {item.answer}"
        yield f"{GLYPH_QUESTION} {glyphs.NAMES[scene % len(glyphs.NAMES)]}"


def train_tokenizer(config: BuildConfig) -> Tokenizer:
    """Train a byte-level BPE: every string round-trips, the world's words take one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.tokenizer.vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(world_texts(config), trainer)
    return tokenizer


def wrap_tokenizer(tokenizer: Tokenizer, max_length: int, ends: bool) -> PreTrainedTokenizerFast:
    """Make a transformers tokenizer that begins texts with `<s>`, and ends them if `ends`.

    Args:
        tokenizer: The trained tokenizer.
        max_length: Longest text in tokens.
        ends: Append `</s>`, as CLIP's text tower needs; the language model's prompts go on.

    Returns:
        A copy with its own ends.
    """
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if ends else "<s> $A",
        special_tokens=[("<s>", BOS_ID), ("</s>", EOS_ID)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=copy,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<image>"],
        model_max_length=max_length,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
