"""Memory that does not suffice for a batch: the same update in more passes; for an example: what would help."""

import copy
from dataclasses import replace

import pytest
import torch
from tests.conftest import in_float64
from tests.methods.sessions import FP32, method_config, recipe, task
from tests.training.test_trainer import Everything, answers, instructions, steps
from torch import nn
from torch.nn import functional

from ablate.methods.build import build_method
from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.memory import DoesNotFitError, is_out_of_memory
from ablate.training.importance import mean_gradients_of
from ablate.training.losses import ContrastiveLoss
from ablate.training.memory import halved
from ablate.training.trainer import Trainer

SAID = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.7 GiB"


def contrastive(vlm):
    return task(vlm, "clip").loss


def drawing(vlm):
    """The contrastive loss on images and texts that are drawn anew in every pass."""
    shown = torch.randint(256, (8, 3, 16, 16), dtype=torch.uint8)

    def pixels(indices):
        shift = torch.randint(16, (len(indices),)).tolist()
        return torch.stack([shown[i].roll(s, -1) for i, s in zip(indices, shift, strict=True)])

    return ContrastiveLoss(vlm, pixels, functional.normalize(torch.randn(8, 3, 24), dim=-1))


LOSSES = [answers, instructions, contrastive, drawing]


@pytest.fixture
def room(monkeypatch):
    """Let a forward pass with a gradient take so many examples; return the sizes of all passes that came through."""
    real = VisionLanguageModel.forward

    def limit(most, place="forward"):
        seen = []

        def forward(self, input_ids=None, attention_mask=None, is_wanted=None, pixels=None):
            n = len(pixels if input_ids is None else input_ids)
            if n > most and torch.is_grad_enabled() and place == "forward":
                raise torch.OutOfMemoryError(SAID)
            result = real(self, input_ids, attention_mask, is_wanted, pixels)
            if n > most and result.requires_grad:
                result.register_hook(fail)
            else:
                seen.append(n)
            return result

        def fail(_):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

        monkeypatch.setattr(VisionLanguageModel, "forward", forward)
        return seen

    return limit


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    scale = max(gradient.abs().max() for gradient in expected.values())
    assert scale > 0
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() <= 1e-8 * scale, name


@pytest.mark.numerical
@pytest.mark.parametrize("place", ["forward", "backward"])
@pytest.mark.parametrize("build", LOSSES)
@pytest.mark.parametrize("most", [3, 1])
def test_the_update_is_that_of_the_whole_batch(build, most, place, room, tiny_random_vlm):
    vlm = in_float64(tiny_random_vlm)
    loss = build(vlm)
    method = Everything(penalty_weight=0.01)
    method.attach(vlm, None)
    whole_losses, whole = steps(vlm, method, loss, 4, 1)
    seen = room(most, place)
    losses, gradients = steps(vlm, method, loss, 4, 1)
    assert losses == pytest.approx(whole_losses, rel=1e-8)
    assert len(gradients) == len(whole) > 1
    for found, expected in zip(gradients, whole, strict=True):
        assert_equal(found, expected)
    assert seen[-1] <= most


@pytest.mark.parametrize("build", LOSSES)
def test_the_recipe_s_own_batch_is_not_touched_where_it_fits(build, room, tiny_random_vlm):
    loss = build(tiny_random_vlm)
    method = Everything(0.0)
    method.attach(tiny_random_vlm, None)
    seen = room(4)
    config = replace(recipe(1), batch_size=4, accumulation_steps=1 + (loss.name == "lm"))
    trainer = Trainer(tiny_random_vlm, method, loss, config, FP32, 0)
    trainer.train(lambda _: None)
    assert trainer.micro_batch == 4
    assert sum(seen) == loss.n


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_a_training_that_was_halved_goes_on_halved(loss, room, tiny_random_vlm):
    def trainer_of(vlm):
        vlm.requires_grad_(False)
        made = task(vlm, loss)
        method = build_method(method_config("lora"), loss)
        method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
        return Trainer(vlm, method, made.loss, recipe(2), FP32, 0)

    other = copy.deepcopy(tiny_random_vlm)
    room(2)
    whole, parts = [], []
    trainer_of(tiny_random_vlm).train(whole.append)
    first = trainer_of(other)
    first.train(parts.append, until=2)
    state = first.state_dict()
    assert state["micro_batch"] == 2
    seen = room(2)
    first.load_state_dict(state)
    first.train(parts.append)
    assert parts == whole
    assert set(seen) == {2}


@pytest.mark.parametrize("build", LOSSES)
def test_what_is_no_lack_of_memory_is_raised_as_it_is(build, monkeypatch, tiny_random_vlm):
    loss = build(tiny_random_vlm)
    method = Everything(0.0)
    method.attach(tiny_random_vlm, None)

    def fail(*_, **__):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(VisionLanguageModel, "forward", fail)
    trainer = Trainer(tiny_random_vlm, method, loss, recipe(1), FP32, 0)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trainer.train(lambda _: None)


def test_one_example_that_does_not_fit_says_what_was_asked_what_there_was_and_what_helps(
    room, tiny_random_vlm
):
    loss = answers(tiny_random_vlm)
    method = Everything(0.0)
    method.attach(tiny_random_vlm, None)
    room(0)
    trainer = Trainer(tiny_random_vlm, method, loss, recipe(1), FP32, 0)
    with pytest.raises(DoesNotFitError) as caught:
        trainer.train(lambda _: None)
    text = str(caught.value)
    assert text.startswith(
        "one training example does not fit into the memory of cpu: 2.50 GiB were"
    )
    assert "were asked for, " in text
    assert "GiB were free. Fix: train.gradient_checkpointing=true, or a lower method.rank" in text
    assert "precision" not in text
    assert is_out_of_memory(caught.value)
    # Nothing of the failed step is left.
    assert all(p.grad is None for p in tiny_random_vlm.parameters())
    config = replace(recipe(1), gradient_checkpointing=True)
    with pytest.raises(DoesNotFitError, match=r"Fix: a lower method\.rank"):
        halved(1, "out of memory", tiny_random_vlm, config, FP32)


def test_trained_batch_normalisation_sees_the_whole_batch_or_none(tiny_random_vlm):
    model = nn.Sequential(nn.BatchNorm1d(3))
    with pytest.raises(
        DoesNotFitError, match=r"a batch of 8 examples under trained batch.*batch_size=4"
    ):
        halved(8, SAID, model, recipe(1), FP32)
    # One that is not trained keeps its statistics, and is in evaluation mode.
    assert halved(9, SAID, model.eval(), recipe(1), FP32) == 4
    assert halved(8, SAID, tiny_random_vlm.train(), recipe(1), FP32) == 4


@pytest.mark.numerical
@pytest.mark.parametrize("build", LOSSES)
def test_importance_is_that_of_the_whole_batches(build, room, tiny_random_vlm):
    vlm = in_float64(tiny_random_vlm)
    loss = build(vlm)
    path = "vision_tower.encoder.layers.0.self_attn.q_proj.weight"
    named = {n: p for n, p in vlm.named_parameters() if n.endswith(path)}
    config = replace(recipe(1), batch_size=5)

    def measured():
        return mean_gradients_of(named, vlm, loss, config, FP32, seed=0)

    whole = measured()
    assert len(whole) == 1
    seen = room(2)
    assert_equal(measured(), whole)
    assert max(seen) == 2
