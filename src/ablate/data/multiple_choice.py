"""Classification turned into multiple-choice questions."""

import random
import string
from collections.abc import Sequence

from ablate.config.schema import Scoring
from ablate.data.types import ImageClassification, ImageQuestions, MultipleChoiceItem

LETTERS = string.ascii_uppercase
LETTERS_INSTRUCTION = "Answer with the option's letter from the given choices directly."


def multiple_choice_items(
    ids: Sequence[str],
    labels: Sequence[int],
    class_names: Sequence[str],
    question: str,
    n_options: int,
    seed: int,
) -> list[MultipleChoiceItem]:
    """Turn every image into a question about its class, with options drawn for each image on its own.

    An image's options depend on the seed and its id alone, so a subset of the images, or the same
    images in another order, has the same questions.

    Args:
        ids: Stable name of every image.
        labels: Class index of every image.
        class_names: One readable name per class, all different.
        question: The question whose answer is a class name.
        n_options: Options of a question; all classes where there are fewer.
        seed: Seed of the draw.

    Returns:
        One item per image, in the order of the images.
    """
    items = []
    for row, (id_, label) in enumerate(zip(ids, labels, strict=True)):
        draw = random.Random(f"{seed}/{id_}")
        others = [index for index in range(len(class_names)) if index != label]
        options = [label, *draw.sample(others, min(n_options - 1, len(others)))]
        draw.shuffle(options)
        names = tuple(class_names[index] for index in options)
        items.append(MultipleChoiceItem(id_, row, question, names, options.index(label)))
    return items


def questions_about(
    data: ImageClassification, rows: Sequence[int], is_test: bool, n_options: int, seed: int
) -> list[MultipleChoiceItem]:
    """Write a question about some images of a data set: its own, or about their class.

    Args:
        data: The data set.
        rows: The images, by position in its training or test part.
        is_test: Which part.
        n_options: Options of a question about a class.
        seed: Seed of their draw.

    Returns:
        One item per image, its image being its place in `rows`.
    """
    if isinstance(data, ImageQuestions):
        return (data.test if is_test else data.train).questions(rows)
    source = data.test if is_test else data.train
    ids, labels = source.ids, source.labels
    return multiple_choice_items(
        [ids[row] for row in rows],
        [int(labels[row]) for row in rows],
        data.class_names,
        data.question,
        n_options,
        seed,
    )


def is_by_letter(item: MultipleChoiceItem, scoring: Scoring) -> bool:
    """Tell whether a question is put with its options, to be answered by a letter, or alone, by the option's text."""
    return scoring == "letters" or (scoring == "generate" and not item.is_statement)


def asked(item: MultipleChoiceItem, scoring: Scoring) -> tuple[str, str]:
    """Return a question as it is tested, and its answer: a letter under options, or the answer's text alone."""
    if is_by_letter(item, scoring):
        return letters_question(item.question, item.options), LETTERS[item.answer]
    return item.question, item.options[item.answer]


def asked_openly(
    item: MultipleChoiceItem, open_question: str, sentence: str | None
) -> tuple[str, str]:
    """Return a question without options, and its answer in a sentence (the LoRSU authors' training of the LM loss).

    Args:
        item: The question.
        open_question: What is asked, with `{question}` for the question.
        sentence: The answer with one `{}` for its text; None for that alone.
    """
    answer = item.options[item.answer]
    question = open_question.replace("{question}", item.question)
    return question, answer if sentence is None else sentence.replace("{}", answer)


def letters_question(question: str, options: Sequence[str]) -> str:
    """Write the options under a question and ask for a letter (LoRSU's prompt, without `<image>`).

    Args:
        question: The question alone.
        options: At most 26 answer texts.
    """
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False)]
    return "\n".join([question, *lines, LETTERS_INSTRUCTION])
