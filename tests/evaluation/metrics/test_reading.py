import pytest

from ablate.evaluation.metrics.reading import read_letter, read_yes_no

# What is written, and the index that each rule reads among five options.
RULES = ("first", "strict", "strict-any-case", "lenient", "brackets")
LETTERS = [
    ("B", 1, 1, 1, 1, 1),
    (" B\n", 1, 1, 1, 1, 1),
    ("B.", 1, None, None, 1, None),
    ("b", None, None, 1, 1, 1),
    ("b.", None, None, None, 1, None),
    ("b)", None, None, None, None, 1),
    ("(b)", None, None, None, None, 1),
    ("(B)", 1, None, None, None, None),
    ("(c) red", None, None, None, None, 2),
    ("(c) or (a)", None, None, None, None, 0),
    ("The answer is D.", 3, None, None, 3, None),
    ("D. a stop sign", 3, None, None, 3, None),
    ("C. or A.", 2, None, None, 0, None),
    ("Banana", None, None, None, None, None),
    ("F", None, None, None, None, None),
    ("F.", None, None, None, None, None),
    ("AB", None, None, None, None, None),
    ("ab", None, None, None, None, None),
    ("", None, None, None, None, None),
    ("none of them", None, None, None, None, None),
]


@pytest.mark.parametrize(("text", "expected"), [(row[0], row[1:]) for row in LETTERS])
def test_a_letter_is_read_by_the_rule(text, expected):
    assert tuple(read_letter(text, 5, rule) for rule in RULES) == expected


def test_only_letters_of_options_are_read():
    assert read_letter("E", 4, "first") is None
    assert read_letter("E", 4, "strict") is None
    assert read_letter("e.", 4, "lenient") is None
    assert read_letter("E. or B.", 4, "lenient") == 1
    assert read_letter("Maybe Z", 26, "first") == 25


@pytest.mark.parametrize(
    ("text", "first", "strict", "lenient"),
    [
        ("Yes", True, True, True),
        ("no.", False, False, False),
        ("No, yes would be wrong", False, None, None),
        ("Nothing to see, yes?", True, None, None),
        ("I do not know", None, None, False),
        ("yesterday", None, None, True),
        ("Y.e.s.", None, True, None),
        ("yes .", True, None, True),
        ("", None, None, None),
    ],
)
def test_yes_or_no_is_read_by_the_rule(text, first, strict, lenient):
    assert read_yes_no(text, "yes", "no", "first") is first
    assert read_yes_no(text, "yes", "no", "strict") is strict
    assert read_yes_no(text, "yes", "no", "lenient") is lenient


@pytest.mark.parametrize("positive", ["no", "no way"])
def test_a_word_within_the_other_is_not_read_for_it(positive):
    negative = "no way" if positive == "no" else "no"
    for said in ("no", "no way"):
        assert read_yes_no(f"I say {said}.", positive, negative, "first") is (said == positive)
