"""Accumulated batches are one large batch, and what follows from the recipe's optimiser."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tests.conftest import in_float64
from tests.methods.sessions import FP32, method_config, recipe, run_config, task
from tests.training.conversations import CONVERSATIONS, TURN, Squares
from torch import Tensor

from ablate.config.errors import ConfigError
from ablate.data.types import InstructionData
from ablate.methods.base import Method
from ablate.methods.build import build_method
from ablate.recipes.checks import check_training
from ablate.training.instruction_loss import InstructionLoss
from ablate.training.losses import Loss
from ablate.training.optimizer import build_optimizer
from ablate.training.trainer import Trainer

pytestmark = pytest.mark.numerical

# Steps of this length leave the weights as they are, so every step of an epoch sees the same.
NO_STEP = 1e-12


class Everything(Method):
    """Train all weights, with a plain penalty."""

    def __init__(self, penalty_weight: float) -> None:
        self._penalty_weight = penalty_weight

    def parts(self) -> frozenset[str]:
        return frozenset({"encoder", "projector", "language_model", "visual_projection"})

    def make_trainable(self, vlm, session) -> None:
        del session
        vlm.requires_grad_(True)
        self._trained = list(vlm.parameters())

    def penalty(self) -> Tensor | None:
        if not self._penalty_weight:
            return None
        return self._penalty_weight * torch.stack([p.square().sum() for p in self._trained]).sum()

    def update(self):
        raise NotImplementedError

    def load(self, vlm, update, seed):
        raise NotImplementedError

    def merge(self):
        raise NotImplementedError


def answers(vlm) -> Loss:
    return task(vlm, "lm").loss


def instructions(vlm) -> Loss:
    data = InstructionData("talks", CONVERSATIONS, Squares(), "0")
    return InstructionLoss(vlm, data, 256, TURN)


def steps(vlm, method, loss, batch_size, accumulation_steps):
    """Train an epoch; return the loss and the gradients of every step."""
    config = replace(
        recipe(1),
        batch_size=batch_size,
        accumulation_steps=accumulation_steps,
        learning_rate=NO_STEP,
    )
    losses: list[float] = []
    gradients: list[dict[str, Tensor]] = []
    after_step = method.after_step

    # In the place of the method's own hook: AdaLoRA's moves ranks between the two trainings that are compared.
    def recorded(_step: int) -> None:
        named = vlm.named_parameters()
        gradients.append({n: p.grad.clone() for n, p in named if p.grad is not None})

    method.after_step = recorded
    Trainer(vlm, method, loss, config, FP32, 0).train(losses.append)
    method.after_step = after_step
    return losses, gradients


def assert_accumulates(vlm, method, loss, batch_size, accumulation_steps):
    losses, gradients = steps(vlm, method, loss, batch_size, accumulation_steps)
    whole_losses, whole = steps(vlm, method, loss, batch_size * accumulation_steps, 1)
    assert len(losses) == len(whole_losses) == -(-loss.n // (batch_size * accumulation_steps))
    assert losses == pytest.approx(whole_losses, rel=1e-8)
    for found, expected in zip(gradients, whole, strict=True):
        assert found.keys() == expected.keys()
        scale = max(gradient.abs().max() for gradient in expected.values())
        for name, gradient in expected.items():
            assert (found[name] - gradient).abs().max() <= 1e-8 * scale, name


@pytest.mark.parametrize("build", [answers, instructions])
@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(2, 3), (3, 2), (1, 3), (2, 2)])
def test_accumulated_batches_are_one_large_batch(
    build: Callable, batch_size, accumulation_steps, tiny_random_vlm
):
    vlm = in_float64(tiny_random_vlm)
    loss = build(vlm)
    counts = [loss.n_terms(torch.tensor([row])) for row in range(loss.n)]
    assert len(set(counts)) > 1
    method = Everything(penalty_weight=0.0)
    method.attach(vlm, None)
    assert_accumulates(vlm, method, loss, batch_size, accumulation_steps)


@pytest.mark.parametrize("name", ["everything", "ewc", "adalora"])
def test_a_penalty_counts_once_in_a_step(name, tiny_random_vlm):
    vlm = tiny_random_vlm.requires_grad_(False)
    method = Everything(0.01) if name == "everything" else build_method(method_config(name), "lm")
    made = task(vlm, "lm")
    method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
    in_float64(vlm)
    with torch.no_grad():
        for parameter in vlm.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    unpenalised = float(made.loss(vlm, torch.arange(8)).detach())
    penalty = float(method.penalty().detach())
    assert penalty > 1e-3
    losses, _ = steps(vlm, method, made.loss, 2, 4)
    assert losses == pytest.approx([unpenalised + penalty], rel=1e-6)
    assert_accumulates(vlm, method, made.loss, 2, 2)


@pytest.mark.parametrize("build", [answers, instructions])
def test_terms_are_the_tokens_that_the_mean_is_taken_over(build, tiny_random_vlm):
    vlm = in_float64(tiny_random_vlm)
    loss = build(vlm)
    rows = torch.arange(loss.n)
    each = [(loss.n_terms(row), float(loss(vlm, row).detach())) for row in rows.split(1)]
    total = sum(n for n, _ in each)
    assert loss.n_terms(rows) == total
    assert float(loss(vlm, rows).detach()) == pytest.approx(sum(n * v for n, v in each) / total)


def test_batches_of_the_contrastive_loss_are_not_accumulated():
    with pytest.raises(ConfigError, match=r"accumulation_steps is 4.*batch_size=128, or loss=lm"):
        check_training(run_config("loss=clip", "train.accumulation_steps=4"))
    check_training(run_config("loss=lm", "train.accumulation_steps=4"))


def test_adam_that_is_to_decay_weights_is_refused():
    with pytest.raises(ConfigError, match=r"weight_decay is 0\.1.*Fix: train\.optimizer=adamw"):
        check_training(run_config("loss=clip", "train.weight_decay=0.1"))
    check_training(run_config("loss=clip", "train.weight_decay=0.1", "train.optimizer=adamw"))


@pytest.mark.parametrize(
    ("words", "optimizer", "decays"),
    [
        (["loss=lm"], torch.optim.AdamW, {0.01, 0.0}),
        (["loss=clip"], torch.optim.Adam, {0.0}),
        (["loss=clip", "train.optimizer=adamw"], torch.optim.AdamW, {0.01, 0.0}),
        (["loss=lm", "train.optimizer=adam"], torch.optim.Adam, {0.0}),
    ],
)
@pytest.mark.parametrize("train", ["paper", "tiny", "tiny-real"])
def test_the_optimiser_is_that_of_the_published_variant(
    train, words, optimizer, decays, tiny_random_vlm
):
    config = run_config(f"train={train}", *words).train
    method = Everything(0.0)
    method.attach(tiny_random_vlm, None)
    built = build_optimizer(tiny_random_vlm, method, config)
    assert type(built) is optimizer
    assert {group["weight_decay"] for group in built.param_groups} == decays
