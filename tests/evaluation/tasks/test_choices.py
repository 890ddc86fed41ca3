"""The tiny world's tasks, evaluated on real models."""

import numpy as np
import pytest
from tests.evaluation.tasks.suites import outcome_of, read_task

from ablate.evaluation.tasks.load import load_task
from ablate.evaluation.verbs.pixels import Pixels

VISION = ("shape", "colour", "size", "texture", "count", "place")
TEXT = ("recall", "position", "count", "neighbour", "number", "odd")
NAMES = [*(f"shapes-{q}" for q in VISION), *(f"words-{t}" for t in TEXT)]


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_the_same_every_time_and_its_chance_level_is_what_guessing_gets(name):
    one, other = (load_task("one", read_task(name)) for _ in range(2))
    assert one.fingerprint == other.fingerprint
    answers = [item.options[item.answer] for item in one._items]
    # No fixed answer does much better than chance: 6 standard errors.
    best = max(answers.count(answer) for answer in answers) / one.n
    tolerance = 6 * np.sqrt(one.metrics[0].chance * (1 - one.metrics[0].chance) / one.n)
    assert best < one.metrics[0].chance + tolerance


def test_the_fingerprint_follows_what_is_asked():
    prints = {
        load_task("one", read_task("shapes-shape", **changes)).fingerprint
        for changes in ({}, {"draw": "development"}, {"style": "textured"}, {"items": 300})
    }
    assert len(prints) == 4
    assert load_task("other", read_task("shapes-shape")).fingerprint in prints


def test_the_shipped_model_sees_shapes_and_is_lost_without_them(shipped):
    task = load_task("shape", read_task("shapes-shape", items=64))
    outcome = outcome_of(task, shipped)
    assert outcome.result.value > 0.9
    assert outcome.result.n == 64
    assert (outcome.result.task, outcome.result.kind) == ("shape", "vision")
    assert outcome.result.chance == 0.125
    assert outcome.result.value_before is None
    assert [item.score for item in outcome.items] == [
        item.answer == item.prediction for item in outcome.items
    ]
    assert len({item.id for item in outcome.items}) == task.n
    # The same questions about grey squares: what is left is guessing.
    read = task._pixels._read
    task._pixels = Pixels(lambda rows: [image.point(lambda _: 128) for image in read(rows)])
    assert outcome_of(task, shipped).result.value < 0.4


@pytest.mark.parametrize("name", ["shapes-place", "words-neighbour"])
@pytest.mark.parametrize("scoring", ["answers", "letters", "generate"])
def test_any_model_and_scoring_answers(tiny_random_vlm, name, scoring):
    task = load_task("one", read_task(name, items=16, scoring=scoring))
    first, again = (outcome_of(task, tiny_random_vlm) for _ in range(2))
    assert first.items == again.items
    assert first.result == again.result
    assert first.result.stderr is not None
