"""What is chosen becomes a score: 1 where it is the correct option, else 0."""

from ablate.data.types import MultipleChoiceItem
from ablate.evaluation.verbs.multiple_choice import Answer, choice_results


def test_an_answer_that_cannot_be_read_is_wrong_like_one_that_is_not_correct():
    items = [
        MultipleChoiceItem(f"q{n}", 0, "which?", ("a", "b"), 0, cluster="image") for n in range(4)
    ]
    said = {0: 0, 1: 1, 2: None, 3: 0}
    found = choice_results(items, {n: Answer(chosen, (), None) for n, chosen in said.items()})
    assert [found[n].score for n in range(4)] == [1.0, 0.0, 0.0, 1.0]
    assert [found[n].prediction for n in range(4)] == ["a", "b", None, "a"]
    assert {one.cluster for one in found.values()} == {"image"}
