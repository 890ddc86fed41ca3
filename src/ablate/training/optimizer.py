"""Adam or AdamW over what a method trains."""

import torch
from torch import nn

from ablate.config.schema import TrainConfig
from ablate.methods.base import Method
from ablate.models.parts import part_of


def build_optimizer(model: nn.Module, method: Method, config: TrainConfig) -> torch.optim.Optimizer:
    """Build Adam or AdamW over the parameters that require a gradient; biases and norms are never decayed.

    Every group has its `scale`: what the schedule's learning rate is multiplied with. On a GPU a step is one kernel for
    many parameters (`fused`); on the CPU it is torch's own loop, whose rounding the pinned numbers have.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    norms = {id(p) for m in model.modules() if _is_norm(m) for p in m.parameters()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # An adapter's own name comes last: `fc1.lorsu_bias.default`.
            is_bias = any(part.endswith("bias") for part in name.split(".")[-2:])
            is_decayed = not (is_bias or id(parameter) in norms)
            scale = method.learning_rate_scale_of(name) * _part_scale(name, config)
            groups.setdefault((is_decayed, scale), []).append(parameter)
    # Adam's own `weight_decay` would be an L2 penalty.
    weight_decay = config.weight_decay if config.optimizer == "adamw" else 0.0
    optimizer = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return optimizer(
        [
            {"params": parameters, "weight_decay": is_decayed * weight_decay, "scale": scale}
            for (is_decayed, scale), parameters in sorted(
                groups.items(), key=lambda group: group[0], reverse=True
            )
        ],
        lr=config.learning_rate,
        betas=config.betas,
        fused=all(parameter.is_cuda for group in groups.values() for parameter in group) or None,
    )


def _part_scale(path: str, config: TrainConfig) -> float:
    """Return the encoder's learning rate over that of the rest, for a parameter of the encoder."""
    if config.encoder_learning_rate is None or part_of(path) != "encoder":
        return 1.0
    return config.encoder_learning_rate / config.learning_rate


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__
