"""CLIP zero-shot classification: the class whose prompts lie closest to the image."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ablate.evaluation.verbs.inference import inference
from ablate.models.vlm import VisionLanguageModel

_TEXTS_PER_PASS = 256


def class_embeddings(
    vlm: VisionLanguageModel, class_names: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Embed every class as the mean of its prompts (CLIP, section 3.1.4: prompt ensembling).

    Args:
        vlm: The model; its text tower and text projection are read.
        class_names: One readable name per class.
        templates: Prompts with one `{}` for the class name.

    Returns:
        float32 `[classes, width]`, unit vectors: the mean over templates of unit vectors,
        normalised again.
    """
    return functional.normalize(prompt_embeddings(vlm, class_names, templates).mean(dim=1), dim=-1)


def prompt_embeddings(
    vlm: VisionLanguageModel, class_names: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Embed every prompt of every class; arguments as of `class_embeddings`.

    Returns:
        float32 `[classes, templates, width]`, unit vectors.
    """
    texts = [template.replace("{}", name) for name in class_names for template in templates]
    return text_embeddings(vlm, texts).view(len(class_names), len(templates), -1)


def text_embeddings(vlm: VisionLanguageModel, texts: Sequence[str]) -> Tensor:
    """Embed texts as float32 `[texts, width]` unit vectors; what is beyond CLIP's context is cut off."""
    with inference(vlm):
        parts = [
            vlm.clip_text_features(texts[start : start + _TEXTS_PER_PASS]).float()
            for start in range(0, len(texts), _TEXTS_PER_PASS)
        ]
    # Outside inference mode, so that a training loss may read it too.
    return torch.cat(parts).clone()


def nearest_classes(
    vlm: VisionLanguageModel, pooled: Tensor, class_embeddings: Tensor
) -> list[int]:
    """Classify images by the cosine between image and class embeddings.

    Args:
        vlm: The model; its visual projection is read.
        pooled: Pooled output of the image encoder, `[images, width]`.
        class_embeddings: float32 `[classes, width]`, unit vectors.

    Returns:
        The predicted class index of every image.
    """
    features = vlm.clip_project(pooled).float()
    predictions: list[int] = (features @ class_embeddings.T).argmax(dim=1).tolist()
    return predictions
