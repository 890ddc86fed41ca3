"""Elastic weight consolidation against its definition."""

from functools import partial

import pytest
import torch
from tests.conftest import in_float64
from tests.methods.sessions import method_config, task

from ablate.methods.base import Session
from ablate.methods.build import build_method
from ablate.methods.ewc import diagonal_fisher

pytestmark = pytest.mark.numerical


def encoder_weights(vlm):
    named = vlm.named_parameters()
    return {name: p for name, p in named if name.startswith("llava.model.vision_tower.")}


def squared_gradients(vlm, loss, groups, n):
    """Sum the squared gradients of the summed loss of every group of examples, divided by n."""
    parameters = encoder_weights(vlm)
    totals = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for group in groups:
        vlm.zero_grad()
        (loss(vlm, torch.tensor(group)) * len(group)).backward()
        for name, p in parameters.items():
            if p.grad is not None:
                totals[name] += p.grad**2 / n
    return totals


def attached(vlm, loss="lm"):
    vlm.requires_grad_(False)
    method = build_method(method_config("ewc"), loss)
    made = task(vlm, loss)
    method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
    return method, made


def move(vlm):
    with torch.no_grad():
        for p in encoder_weights(vlm).values():
            p.add_(
                torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())), alpha=0.01
            )


def plain_penalty(weights, anchors, fisher):
    total = sum((fisher[n] * (weights[n] - anchors[n]) ** 2).sum() for n in fisher)
    return method_config("ewc").penalty_weight / 2 * total


def test_fisher_of_single_examples_is_their_mean_squared_gradient(tiny_random_vlm):
    in_float64(tiny_random_vlm)
    made = task(tiny_random_vlm, "lm")
    parameters = encoder_weights(tiny_random_vlm)
    session = Session(partial(made.loss, tiny_random_vlm), 8, 1, {}, seed=0)
    fisher = diagonal_fisher(parameters, session, batch_size=1)
    expected = squared_gradients(tiny_random_vlm, made.loss, [[row] for row in range(8)], n=8)
    for name, values in fisher.items():
        torch.testing.assert_close(values, expected[name], rtol=1e-6, atol=1e-12)
    unreached = parameters.keys() - fisher.keys()
    assert unreached
    assert all(".layers.2." in name or "post_layernorm" in name for name in unreached)


def test_fisher_of_the_contrastive_loss_compares_a_random_batch(tiny_random_vlm):
    in_float64(tiny_random_vlm)
    made = task(tiny_random_vlm, "clip")
    order = torch.randperm(8, generator=torch.Generator().manual_seed(5)).tolist()
    fisher = diagonal_fisher(
        encoder_weights(tiny_random_vlm),
        Session(partial(made.loss, tiny_random_vlm), 8, 1, {}, seed=5),
        batch_size=4,
    )
    expected = squared_gradients(tiny_random_vlm, made.loss, [order[:4], order[4:]], n=8)
    for name, values in fisher.items():
        torch.testing.assert_close(values, expected[name], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_penalty_is_zero_at_the_start_and_quadratic_afterwards(loss, tiny_random_vlm):
    method, _ = attached(tiny_random_vlm, loss)
    assert method.penalty() == 0
    move(tiny_random_vlm)
    once = method.penalty()
    assert once > 0
    move(tiny_random_vlm)
    torch.testing.assert_close(method.penalty(), 4 * once, rtol=1e-3, atol=0)


def test_later_sessions_hold_on_to_the_data_of_earlier_ones(tiny_random_vlm):
    vlm = tiny_random_vlm
    method, first = attached(vlm)
    earlier = {name: torch.zeros_like(p) for name, p in encoder_weights(vlm).items()}
    losses = [first.loss, task(vlm, "lm", seed=1).loss]
    for number, loss in enumerate(losses, start=1):
        move(vlm)
        method.merge()
        vlm.requires_grad_(True)
        seen = squared_gradients(vlm, loss, [[row] for row in range(8)], n=8)
        vlm.requires_grad_(False)
        earlier = {name: values + seen[name] for name, values in earlier.items()}
        made = task(vlm, "lm", seed=number)
        method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
        anchors = {name: p.detach().clone() for name, p in encoder_weights(vlm).items()}
        move(vlm)
        expected = plain_penalty(encoder_weights(vlm), anchors, earlier)
        torch.testing.assert_close(method.penalty(), expected, rtol=1e-3, atol=0)
        with torch.no_grad():
            for name, p in encoder_weights(vlm).items():
                p.copy_(anchors[name])


def test_the_penalty_holds_weights_back(tiny_random_vlm):
    def moved(name):
        vlm = tiny_random_vlm
        before = {n: p.detach().clone() for n, p in encoder_weights(vlm).items()}
        vlm.requires_grad_(False)
        method = build_method(method_config(name, *extra[name]), "lm")
        made = task(vlm, "lm")
        method.attach(vlm, made.session(method, vlm, epochs=4, seed=0))
        made.train(method, vlm, epochs=4)
        method.merge()
        distance = sum((p - before[n]).square().sum() for n, p in encoder_weights(vlm).items())
        vlm.load_state_dict(before, strict=False)
        return float(distance)

    extra = {"full": [], "ewc": ["method.penalty_weight=1e6"]}
    assert moved("ewc") < moved("full")
