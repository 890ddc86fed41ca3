from itertools import combinations

import pytest

from ablate.config.errors import ConfigError
from ablate.world.topics import TOPICS
from ablate.world.words import DRAWS, N_ITEMS, _first_fitting, draw_of, word_items


@pytest.mark.parametrize("topic", TOPICS)
def test_draws_share_no_combination(topic):
    seen = {
        draw: {item.combination for item in _first_fitting(topic, draw, list(range(1000)))}
        for draw in DRAWS
    }
    for one, other in combinations(DRAWS, 2):
        assert not seen[one] & seen[other]


@pytest.mark.parametrize("topic", TOPICS)
def test_held_out_questions_never_occur_in_training(topic):
    train = {item.text for item in word_items(topic, "train", range(5000))}
    for draw in ("development", "test"):
        held_out = [item.text for item in word_items(topic, draw, range(N_ITEMS))]
        assert len(set(held_out)) == N_ITEMS >= 400
        assert not train & set(held_out)


def test_recall_holds_out_things_told_of_together():
    def together(draw):
        items = word_items("recall", draw, range(500))
        return {frozenset(item.text.split()[2:12:4]) for item in items}

    assert not together("train") & together("test")


@pytest.mark.parametrize("draw", DRAWS)
def test_an_item_does_not_depend_on_what_is_asked_beside_it(draw):
    together = word_items("odd", draw, range(20))
    assert [word_items("odd", draw, [index])[0] for index in range(20)] == together
    assert word_items("odd", draw, [7, 3]) == [together[7], together[3]]


def test_every_combination_has_one_draw():
    shares = [draw_of("number", str(number)) for number in range(4000)]
    assert 0.65 < shares.count("train") / 4000 < 0.75
    assert shares.count("test") / 4000 > 0.1


def test_unknown_names_are_told():
    with pytest.raises(ConfigError, match="Did you mean 'recall'"):
        word_items("recal", "test", [0])
    with pytest.raises(ConfigError, match="Available: development, test, train"):
        word_items("recall", "validation", [0])
    with pytest.raises(IndexError):
        word_items("recall", "test", [N_ITEMS])
