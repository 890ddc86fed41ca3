"""Answers in the model's own words, by greedy decoding."""

from collections.abc import Sequence
from typing import Any, cast

from transformers import GenerationConfig

from ablate.evaluation.verbs.inference import inference
from ablate.evaluation.verbs.pixels import ReadPixels
from ablate.evaluation.verbs.prompts import ImageTokens, Prompt, PromptBatch, embed
from ablate.models.vlm import VisionLanguageModel


def generate_answers(
    vlm: VisionLanguageModel,
    read: ReadPixels | None,
    questions: Sequence[tuple[str, int | None]],
    max_new_tokens: int,
) -> list[str]:
    """Answer open questions in one batch.

    Args:
        vlm: The model; its training mode is put back afterwards.
        read: Reads the images that the questions refer to; None for text only.
        questions: At least one question with the row of its image, or None.
        max_new_tokens: Longest answer.

    Returns:
        One answer per question, without surrounding space.
    """
    with inference(vlm):
        prompts = [
            Prompt(vlm.prompt_ids(question, image is not None), image)
            for question, image in questions
        ]
        batch = embed(vlm, prompts, ImageTokens(vlm, read))
        return generate(vlm, batch, max_new_tokens)


def generate(vlm: VisionLanguageModel, batch: PromptBatch, max_new_tokens: int) -> list[str]:
    """Decode a batch greedily; the model is in evaluation mode."""
    end = vlm.tokenizer.eos_token_id
    # transformers types `generate` for a protocol that its own models do not satisfy.
    ids = cast("Any", vlm.llava).generate(
        inputs_embeds=batch.embeddings,
        attention_mask=batch.mask,
        generation_config=GenerationConfig(
            do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end, pad_token_id=end
        ),
    )
    return [text.strip() for text in vlm.tokenizer.batch_decode(ids, skip_special_tokens=True)]
