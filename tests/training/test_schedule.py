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


def rates(**changes) -> list[float]:
    config = dataclasses.replace(CONFIG, **changes)
    return [learning_rate(step, 5, config) for step in range(20)]


def test_cosine_warms_up_linearly_then_falls_to_the_minimum():
    found = rates()
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    for step in range(5, 20):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 5) / 15))
        assert found[step] == pytest.approx(expected)


def test_constant_stays_at_the_peak():
    assert rates(schedule="constant")[5:] == [1.0] * 15


def test_reference_is_flat_within_an_epoch_low_in_the_first_and_near_the_peak_after():
    found = rates(schedule="reference")
    assert found[:5] == [0.1] * 5
    assert all(len(set(found[start : start + 5])) == 1 for start in (5, 10, 15))
    assert min(found[5:]) > 0.9


def test_no_warmup_starts_at_the_peak():
    assert rates(warmup_fraction=0.0)[0] == 1.0
