"""Learning rates against a plain re-statement."""

import dataclasses
import math

import pytest

from ablate.config.schema import TrainConfig
from ablate.training.schedule import learning_rate

CONFIG = TrainConfig(
    epochs=4,
    batch_size=8,
    accumulation_steps=1,
    learning_rate=1.0,
    minimum_learning_rate=0.1,
    schedule="cosine",
    warmup_fraction=0.25,
    optimizer="adamw",
    betas=(0.9, 0.999),
    weight_decay=0.01,
    max_gradient_norm=None,
    gradient_checkpointing=False,
    encoder_learning_rate=None,
    importance_examples=None,
)


def rates(loss="lm", steps_per_epoch=5, **changes) -> list[float]:
    config = dataclasses.replace(CONFIG, **changes)
    steps = range(config.epochs * steps_per_epoch)
    return [learning_rate(step, steps_per_epoch, config, loss) for step in steps]


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_cosine_warms_up_linearly_then_falls_to_the_minimum(loss):
    found = rates(loss)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    for step in range(5, 20):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 5) / 15))
        assert found[step] == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_constant_stays_at_the_peak(loss):
    assert rates(loss, schedule="constant")[5:] == [1.0] * 15


# A peak of 1e-5 and a minimum of 1e-6, worked out by hand from the facts: one batch an epoch, five epochs.
ONE_STEP_EPOCHS = {
    "clip": [1e-6, 1e-5, 8.68198052e-6, 5.5e-6, 2.31801948e-6],
    "lm": [1e-6, 9.14057647e-6, 6.89057647e-6, 4.10942353e-6, 1.85942353e-6],
}


@pytest.mark.parametrize("loss", ONE_STEP_EPOCHS)
def test_reference_with_one_step_an_epoch(loss):
    paper = {"epochs": 5, "learning_rate": 1e-5, "minimum_learning_rate": 1e-6}
    found = rates(loss, steps_per_epoch=1, schedule="reference", **paper)
    assert found == pytest.approx(ONE_STEP_EPOCHS[loss], rel=1e-8)


def test_reference_of_the_clip_loss_is_flat_within_an_epoch_and_near_the_peak_after_the_first():
    found = rates("clip", schedule="reference")
    assert found[:5] == [0.1] * 5
    assert found[5:10] == [1.0] * 5
    for epoch in (2, 3):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / 19))
        assert found[5 * epoch : 5 * epoch + 5] == pytest.approx([expected] * 5)
        assert expected > 0.95


def test_reference_of_the_lm_loss_warms_up_for_an_epoch_that_its_cosine_counts():
    found = rates("lm", schedule="reference", epochs=5)
    assert found[:5] == pytest.approx([0.1, 0.28, 0.46, 0.64, 0.82])
    assert found[5] == pytest.approx(0.1 + 0.9 * 0.9045085, rel=1e-7)
    for step in range(5, 25):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / 25))
        assert found[step] == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_reference_of_a_single_step_is_the_minimum(loss):
    assert rates(loss, steps_per_epoch=1, schedule="reference", epochs=1) == [0.1]


def test_no_warmup_starts_at_the_peak():
    assert rates(warmup_fraction=0.0)[0] == 1.0
