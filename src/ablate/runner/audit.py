"""What is trained, and how much of it can change what the model answers."""

import torch

from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.training.losses import Loss


def count_parameters(
    vlm: VisionLanguageModel, answer_loss: Loss, compute: Compute
) -> dict[str, int]:
    """Count the trained scalars, and those that the VLM's answer depends on.

    LLaVA reads `hidden_states[-2]`: what lies behind that layer is trained under the CLIP loss but
    never reaches an answer. Which parameters do is asked of autograd, so it holds for any model and
    method.

    Args:
        vlm: The model with its trained parameters.
        answer_loss: The VQA loss of at least one example.
        compute: Device and precision.

    Returns:
        The columns `trainable_parameters`, `effective_parameters` and `encoder_frozen`.
    """
    trained = [parameter for parameter in vlm.parameters() if parameter.requires_grad]
    n_trained = sum(parameter.numel() for parameter in trained)
    n_effective = 0
    if trained:
        with compute.autocast():
            value = answer_loss(torch.tensor([0]))
        gradients = torch.autograd.grad(value, trained, allow_unused=True)
        n_effective = sum(g.numel() for g in gradients if g is not None)
    in_encoder = any(parameter.requires_grad for parameter in vlm.vision_tower.parameters())
    return {
        "trainable_parameters": n_trained,
        "effective_parameters": n_effective,
        "encoder_frozen": not in_encoder,
    }
