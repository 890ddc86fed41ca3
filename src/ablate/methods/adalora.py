"""AdaLoRA, by peft: low-rank updates whose ranks are moved to the layers that need them."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from peft import AdaLoraConfig
from peft.tuners.adalora import AdaLoraModel
from torch import Tensor

from ablate.config.errors import ConfigError
from ablate.config.schema import AdaloraMethod
from ablate.methods.base import Session
from ablate.methods.peft_method import TargetedPeftMethod
from ablate.methods.targets import target_pattern
from ablate.models.vlm import VisionLanguageModel

# What peft's allocator remembers from step to step, by parameter.
_AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class Adalora(TargetedPeftMethod):
    """dW = (alpha / rank) * B diag(E) A, with E zero at first (Zhang et al., arXiv 2303.10512).

    All layers start at `initial_rank_factor * rank`; triplets of the lowest sensitivity are set to
    zero step by step until `rank` are left per layer on average.
    """

    def __init__(self, config: AdaloraMethod) -> None:
        super().__init__(config)
        self._config = config

    def check_steps(self, total_steps: int, key: str = "method") -> None:
        """Check that there are steps enough to measure a sensitivity and then act on it."""
        if total_steps < 2:
            raise ConfigError(
                f"Training has {total_steps} optimiser step, but {key} 'adalora' needs at least 2. Fix: train.epochs=2."
            )

    def adapter_config(self, vlm: VisionLanguageModel, session: Session) -> AdaLoraConfig:
        """Describe the triplets; A and B are drawn from torch's generator at the session's seed.

        Raises:
            ConfigError: If there are too few steps.
        """
        config, total_steps = self._config, session.total_steps
        self.check_steps(total_steps)
        torch.manual_seed(session.seed)
        initial_rank = math.ceil(config.initial_rank_factor * config.rank)
        return AdaLoraConfig(
            target_r=config.rank,
            init_r=initial_rank,
            # peft divides by the initial rank where others divide by the rank.
            lora_alpha=config.alpha * initial_rank / config.rank,  # type: ignore[arg-type]
            tinit=math.floor(config.initial_fraction * total_steps),
            tfinal=math.floor(config.final_fraction * total_steps),
            total_step=total_steps,
            deltaT=config.allocation_interval_steps,
            beta1=config.sensitivity_decay,
            beta2=config.uncertainty_decay,
            orth_reg_weight=config.orthogonality_weight,
            target_modules=target_pattern(vlm, config.target_modules),
        )

    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Put the triplets that were left into layers of the initial rank; the others are zero."""
        super().load(vlm, {}, seed)
        for name, tensor in update.items():
            parameter = self.peft_model.get_parameter(f"{name}.default").data
            parameter.zero_()
            parameter[tuple(slice(length) for length in tensor.shape)] = tensor.to(parameter)

    def penalty(self) -> Tensor:
        """Return the mean distance of all A A^T and B^T B from the identity, weighted (section 3.1).

        peft adds it only to models that return their own loss.
        """
        distances = []
        for name, parameter in self.peft_model.named_parameters():
            if ".lora_A." in name or ".lora_B." in name:
                products = (
                    parameter @ parameter.T if ".lora_A." in name else parameter.T @ parameter
                )
                identity = torch.eye(len(products), device=products.device, dtype=products.dtype)
                distances.append((products - identity).norm())
        return self._config.orthogonality_weight * torch.stack(distances).mean()

    def state_dict(self) -> dict[str, Any]:
        """Return the sensitivities and the ranks that are left."""
        tuner = self._tuner
        averages = {name: getattr(tuner.rankallocator, name) for name in _AVERAGES}
        return {"averages": averages, "ranks": self._adapter.rank_pattern}

    def load_state_dict(self, state: Mapping[str, Any], session: Session) -> None:
        """Take over the sensitivities and the ranks."""
        del session
        tuner = self._tuner
        own = dict(tuner.model.named_parameters())
        for name, averages in state["averages"].items():
            setattr(tuner.rankallocator, name, {n: t.to(own[n]) for n, t in averages.items()})
        self._adapter.rank_pattern = state["ranks"]

    def after_step(self, step: int) -> None:
        """Score the triplets by this step's gradients and keep as many as the schedule allows."""
        for parameter in self.peft_model.parameters():
            if parameter.requires_grad:
                # peft wants a finite gradient of all triplets. Those behind the layer that LLaVA reads have
                # none, and in a step that float16's gradient scaler skips they are infinite.
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = gradient.nan_to_num(0.0, 0.0, 0.0)
        self._tuner.update_and_allocate(step + 1)

    @property
    def _tuner(self) -> AdaLoraModel:
        tuner = self.peft_model.base_model
        assert isinstance(tuner, AdaLoraModel)
        return tuner

    @property
    def _adapter(self) -> AdaLoraConfig:
        config = self._tuner.peft_config[self._tuner.trainable_adapter_name]
        assert isinstance(config, AdaLoraConfig)
        return config
