"""Scoring an answer in words: agreement with people's answers, equality, yes or no."""

import math
import re
import string
from collections.abc import Sequence

from ablate.evaluation.metrics.accuracy import Accuracy, standard_error

_DIGITS = {
    "none": "0",
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
}
_ARTICLES = frozenset({"a", "an", "the"})
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
# The contractions that the official evaluation corrects, by what follows the first apostrophe.
_CONTRACTIONS = {
    "t": "ain aren can couldn didn doesn don hadn hasn haven isn mightn mustn needn oughtn shan shouldn wasn weren won "
    "wouldn",
    "t've": "couldn hadn mightn shouldn wouldn",
    "ve": "could might must not should they we what where who would you",
    "d": "he how it someone something there they where who you",
    "d've": "he i it she somebody someone something there they we who would you",
    "ll": "how it somebody someone something they what who why you",
    "s": "he how somebody someone that there what when where who why",
    "re": "there they what why you",
    "all": "y",
    "all'll": "y",
    "all'd've": "y",
    "am": "ma",
    "clock": "o",
    "twas": "",
    "ow's'at": "",
}
_WITH_APOSTROPHE = {
    word[:place] + word[place + 1 :]: word
    for end, starts in _CONTRACTIONS.items()
    for word in [f"{start}'{end}" for start in starts.split(" ")]
    for place, letter in enumerate(word)
    if letter == "'"
}


def normalised_answer(text: str) -> str:
    """Write an answer as the official VQA evaluation does before it compares (visualqa.org/evaluation).

    Lower case, no articles, number words as digits, one missing apostrophe put back into a
    contraction; periods go unless they stand before a digit, other punctuation goes where it
    touches a space and becomes a space elsewhere.
    """
    text = re.sub(r"[\n\t]", " ", text).strip()
    has_comma_in_number = re.search(r"\d,\d", text) is not None
    cleaned = text
    for mark in _PUNCTUATION:
        touches_space = f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if touches_space or has_comma_in_number else " ")
    cleaned = re.sub(r"\.(?!\d)", "", cleaned)
    words = [_DIGITS.get(word, word) for word in cleaned.lower().split()]
    return " ".join(_WITH_APOSTROPHE.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Score an answer by how many people gave it (Antol et al., arXiv 1505.00468).

    For every person left out in turn, min(matches among the others / 3, 1); the mean over persons.
    With ten answers, one match gives 0.3, two 0.6, three 0.9, four or more 1. Chance level: 0.

    Args:
        prediction: The model's answer.
        answers: At least four people's answers, ten in the known data sets.

    Raises:
        ValueError: If there are fewer answers: three matches would be out of reach.
    """
    if len(answers) < 4:
        raise ValueError(f"{len(answers)} answers; at least 4 are needed")
    given = normalised_answer(prediction)
    matches = [normalised_answer(answer) == given for answer in answers]
    return math.fsum(min((sum(matches) - own) / 3, 1) for own in matches) / len(matches)


def exact_match(prediction: str, answer: str) -> bool:
    """Tell whether two answers are equal but for case, punctuation and space."""
    return _bare(prediction) == _bare(answer)


def _bare(text: str) -> str:
    return " ".join(text.lower().translate(str.maketrans("", "", string.punctuation)).split())


def f1(
    predictions: Sequence[bool | None], answers: Sequence[bool], clusters: Sequence[str]
) -> Accuracy:
    """Return F1 of the positive answer: 2 TP / (2 TP + FP + FN); no decision counts as not positive.

    Chance level: always saying yes to a share p of positive items scores 2 p / (1 + p), 2/3 for a half.

    Args:
        predictions: What was decided of each item.
        answers: What is true of it.
        clusters: What each item shares with those that it is not independent of.

    Returns:
        The value with its standard error as a ratio of two means (delta method), over clusters; None where
        nothing is positive.

    Raises:
        ValueError: If the lists differ in length.
    """
    hits, weights = [], []
    for given, expected in zip(predictions, answers, strict=True):
        positive = given is True
        hits.append(2 * (positive and expected))
        weights.append(int(positive) + int(expected))
    total = sum(weights)
    if total == 0:
        return Accuracy(None, len(answers), None)
    value = sum(hits) / total
    residuals = [hit - value * weight for hit, weight in zip(hits, weights, strict=True)]
    return Accuracy(value, len(answers), standard_error(residuals, clusters, total))
