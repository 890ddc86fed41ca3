import pytest

from ablate.models.files import SHIPPED_FOLDER
from ablate.world.scenes import COLOURS, COUNTS, SHAPES
from ablate.world.topics import THINGS, TOPICS, Chances
from ablate.world.words import word_conversations, word_items

N_TURNS = {"recall": 6, "position": 5, "count": 1, "neighbour": 6, "number": 3, "odd": 1}


def words(topic, n=300):
    for item in word_items(topic, "train", range(n)):
        told, question = item.text.split("\n")
        yield item, told.removeprefix("in a row: ").split(), question.rstrip("?").split()


def test_recall_answers_what_was_told():
    for item, told, question in words("recall"):
        pairs = dict(zip(told[2::4], told[1::4], strict=True))
        assert item.answer == pairs[question[-1]]
        assert set(item.options) == set(pairs.values())


def test_position_names_the_word_in_the_place():
    for item, told, question in words("position"):
        assert item.answer == told[COUNTS.index(question[-1]) - 1]
        assert item.options == tuple(told)


def test_count_counts_the_words_of_a_kind():
    kinds = {"colour": COLOURS, "shape": SHAPES}
    for item, told, question in words("count"):
        assert len(told) == 5
        assert item.answer == COUNTS[sum(word in kinds[question[-1]] for word in told)]


def test_neighbour_names_the_word_beside():
    for item, told, question in words("neighbour"):
        step = 1 if question[2] == "right" else -1
        assert item.answer == told[told.index(question[-1]) + step]
        assert item.options == tuple(told)


def test_number_names_the_extreme_or_the_middle():
    places = {"biggest": -1, "middle": 2, "smallest": 0}
    seen = set()
    for item, told, question in words("number"):
        assert item.answer == sorted(told, key=COUNTS.index)[places[question[-1]]]
        seen.add(question[-1])
    assert seen == set(places)


def test_odd_names_the_only_word_of_its_kind():
    kinds = {word: i for i, kind in enumerate((COLOURS, SHAPES, COUNTS, THINGS)) for word in kind}
    for item, told, _ in words("odd"):
        alone = [word for word in told if [kinds[w] for w in told].count(kinds[word]) == 1]
        assert alone == [item.answer]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_conversation_asks_all_that_its_words_allow_once(topic):
    items = word_items(topic, "train", range(50))
    for item, turns in zip(items, word_conversations(topic, range(50)), strict=True):
        assert turns[0] == item
        told, first = item.text.split("\n")
        question = [first, *(turn.text for turn in turns[1:])]
        assert len(set(question)) == len(question) == N_TURNS[topic]
        for turn in turns[1:]:
            assert turn.answer in turn.options
            assert turn.answer in told


@pytest.mark.parametrize("topic", TOPICS)
def test_options_are_different_hold_the_answer_and_are_equally_many(topic):
    items = word_items(topic, "train", range(300))
    assert len({len(item.options) for item in items}) == 1
    for item in items:
        assert item.answer in item.options
        assert len(set(item.options)) == len(item.options)


@pytest.mark.parametrize("topic", TOPICS)
def test_no_place_among_the_options_is_favoured(topic):
    items = word_items(topic, "test", range(400))
    n_options = len(items[0].options)
    places = [item.options.index(item.answer) for item in items]
    for place in range(n_options):
        assert places.count(place) / 400 < 1 / n_options + 0.15


def test_every_content_word_is_one_token():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(SHIPPED_FOLDER / "llava")
    for word in (*THINGS, *COLOURS, *SHAPES, *COUNTS):
        assert len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) == 1, word


def test_choose_draws_without_replacement():
    assert Chances([0.0, 0.0, 0.99]).choose(["a", "b", "c", "d"], 3) == ["a", "b", "d"]
