"""Multiple choice about images in tables: MMBench, ScienceQA and MMVP in their columns, pairs and rotations."""

import math
from itertools import pairwise

import pytest
from tests.evaluation.tasks.suites import EVALUATION, outcome_of, read_task
from tests.evaluation.tasks.test_adapters import write_hub_parquet, write_parquet

from ablate.config.errors import ConfigError
from ablate.config.schema import EvalConfig
from ablate.evaluation.task import evaluation_of
from ablate.evaluation.tasks.load import load_task
from ablate.results.items import ItemResult

SHAPES = ("circle", "square", "triangle", "star")


def mmbench_rows(pictures, n=12):
    """Questions, and after them each in every other rotation, as the hub's table has them."""
    rows = []
    for row in range(n):
        shape = pictures.shapes[row]
        options = [shape, *(other for other in SHAPES if other != shape)][: 4 if row % 3 else 2]
        answer = row % len(options)
        options = [*options[1 : answer + 1], options[0], *options[answer + 1 :]]
        cells = dict(zip("ABCD", [*options, "nan", "nan"], strict=False))
        rows.append(
            {
                "index": 1000 + row,
                "question": pictures.question,
                "hint": "look at the picture." if row == 1 else "nan",
                "answer": "ABCD"[answer],
                **cells,
                "category": "image_style",
                "image": pictures.png(row),
                "source": "scienceqa",
                "L2-category": "coarse_perception",
                "comment": "nan",
                "split": "dev",
            }
        )
    return [*rows, *(turned for row in rows for turned in rotations(row))]


def rotations(row):
    letters = [letter for letter in "ABCD" if row[letter] != "nan"]
    for shift in range(1, len(letters)):
        at = [letters[(place + shift) % len(letters)] for place in range(len(letters))]
        cells = {letter: row[source] for letter, source in zip(letters, at, strict=True)}
        answer = letters[at.index(row["answer"])]
        yield {**row, **cells, "index": row["index"] + 1_000_000 * shift, "answer": answer}


def mmvp_rows(pictures, n=12):
    rows = []
    for row in range(n):
        size = pictures.sizes[row]
        first = row % 3 == 0
        options = "(a) Small (b) Big" if first else "(a) Big (b) Small"
        is_a = (size == "small") == first
        rows.append(
            {
                "image": pictures.png(row),
                "Question": pictures.size_question,
                "Options": options,
                "Correct Answer": "(a)" if is_a else "(b)",
            }
        )
    return rows


def result(id_, score, prediction="x"):
    return ItemResult(id_, "image", "answer", prediction, float(score))


def test_mmbench_counts_a_question_if_every_rotation_is_right(pictures, tmp_path):
    path = write_hub_parquet(mmbench_rows(pictures, 4), tmp_path / "dev.parquet")
    changes = {"data": {"path": path}, "scoring": "letters"}
    task = load_task("mm", read_task("mmbench", **changes))
    # Two options where row % 3 == 0, else four.
    assert task.n == 2 + 4 + 4 + 2
    of_second = task._items[2:6]
    assert [item.id for item in of_second] == ["1001+0", "1001+1", "1001+2", "1001+3"]
    assert of_second[0].question == f"look at the picture.\n{pictures.question}"
    for one, next_ in pairwise(of_second):
        assert next_.options == (*one.options[1:], one.options[0])
    assert {item.options[item.answer] for item in of_second} == {pictures.shapes[1]}
    assert len({item.answer for item in of_second}) == 4
    assert task.metrics[0].chance == pytest.approx((2 * 0.5**2 + 2 * 0.25**4) / 4)
    answered = [result(item.id, item.id != "1002+3") for item in task._items]
    (row,) = evaluation_of(task, {"group_accuracy": answered}).rows
    assert (row.value, row.n) == (0.75, 4)
    merged = task.merged(answered)
    assert [item.id for item in merged] == ["1000", "1001", "1002", "1003"]
    assert [item.score for item in merged] == [1, 1, 0, 1]
    once = load_task("mm", read_task("mmbench-accuracy", **changes))
    assert (once.n, once.metrics[0].name) == (4, "accuracy")
    assert once.metrics[0].chance == pytest.approx((0.5 + 0.25 + 0.25 + 0.5) / 4)
    assert once.fingerprint != task.fingerprint


def test_mmbench_is_answered_by_the_model(shipped, pictures, tmp_path):
    path = write_hub_parquet(mmbench_rows(pictures), tmp_path / "dev.parquet")
    task = load_task("mm", read_task("mmbench", data={"path": path}))
    outcome = outcome_of(task, shipped)
    # Options are not shown where their texts are scored: there is nothing to rotate.
    assert task.n == outcome.result.n == 12
    assert outcome.result.value > 0.8
    by_letters = load_task("mm", read_task("mmbench", data={"path": path}, scoring="letters"))
    found = outcome_of(by_letters, shipped, EvalConfig(5, 5, 0, 4))
    right = {}
    for item in found.items:
        question = item.id.split("+")[0]
        right[question] = right.get(question, True) and item.score == 1
    assert found.result.n == len(right) == 12
    assert found.result.value == sum(right.values()) / 12


def test_mmvp_counts_pairs(shipped, pictures, tmp_path):
    path = write_hub_parquet(mmvp_rows(pictures), tmp_path / "train.parquet")
    pairs = load_task("mmvp", read_task("mmvp", data={"path": path}))
    singles = load_task("mmvp", read_task("mmvp-accuracy", data={"path": path}))
    assert (pairs.metrics[0].chance, singles.metrics[0].chance) == (0.25, 0.5)
    assert singles._items[0].options == ("Small", "Big")
    assert singles._items[0].answer == int(pictures.sizes[0] != "small")
    of_pairs, of_singles = (outcome_of(task, shipped) for task in (pairs, singles))
    scores = [item.score for item in of_singles.items]
    assert of_singles.result.value == sum(scores) / 12
    both = [one * other for one, other in zip(scores[::2], scores[1::2], strict=True)]
    assert of_pairs.result.value == sum(both) / 6
    assert of_pairs.result.n == 6
    assert [item.cluster for item in of_singles.items][:3] == ["rows 0 to 1"] * 2 + ["rows 2 to 3"]
    half = load_task("mmvp", read_task("mmvp", data={"path": path}, items=6))
    assert load_task("mmvp", read_task("mmvp", data={"path": path}), first=5).n == 6
    assert {item.id for item in half._items} <= {str(row) for row in range(12)}
    assert [int(item.id) % 2 for item in half._items] == [0, 1] * 3


def test_scienceqa_answers_by_index(shipped, pictures, tmp_path):
    rows = []
    for row, shape in enumerate(pictures.shapes):
        choices = list(dict.fromkeys([*SHAPES[: 2 + row % 3], shape]))
        rows.append(
            {
                "image": pictures.png(row),
                "question": pictures.question,
                "choices": choices,
                "answer": choices.index(shape),
                "hint": "",
                "task": "closed choice",
                "solution": "",
            }
        )
    path = write_hub_parquet(rows, tmp_path / "test.parquet")
    task = load_task("sqa", read_task("scienceqa-img", data={"path": path}))
    outcome = outcome_of(task, shipped)
    assert outcome.result.value > 0.8
    guessed = [1 / len(row["choices"]) for row in rows]
    assert outcome.result.chance == pytest.approx(math.fsum(guessed) / len(guessed))


def test_questions_about_one_image_are_a_cluster(pictures, tmp_path):
    rows = mmbench_rows(pictures, 4)
    rows[3]["image"] = rows[1]["image"]
    task = load_task(
        "mm",
        read_task("mmbench-accuracy", data={"path": write_parquet(rows, tmp_path / "r.parquet")}),
    )
    clusters = [item.cluster for item in task._items]
    assert clusters[3] == clusters[1]
    assert len(set(clusters)) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "E"}, "Item '1001' of task 'mm' has the answer 'E', which is not one of its 4"),
        ({"answer": None}, "has no answer"),
        ({"B": "nan", "C": "nan", "D": "nan"}, "has fewer than two options"),
        ({"A": "star", "B": "star"}, "has the option 'star' twice"),
        ({"B": "nan", "answer": "B"}, "has the answer 'B', which is not one of its 3"),
        ({"C": "a <image>"}, "would stand for a second image"),
        ({"question": " "}, "has no question. Fix: tasks.tasks.mm.columns.question"),
        ({"question": "what is <image>?"}, "would stand for a second image"),
        ({"index": 1000}, "have the id '1000'"),
        (
            {"index": None},
            "Column 'index' of task 'mm' is empty in row 1, and tasks.tasks.mm.data.below cannot tell",
        ),
        ({"image": {"bytes": b"x", "path": None}}, "'image of row 1 of task mm' cannot be decoded"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(pictures, tmp_path, change, said):
    rows = mmbench_rows(pictures, 3)
    rows[1] |= change
    path = write_parquet(rows, tmp_path / "rows.parquet")
    with pytest.raises(ConfigError) as caught:
        load_task("mm", read_task("mmbench", data={"path": path}))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("below", "said"),
    [
        ({"index": 0}, "No row of task 'mm' has index below 0. Fix: tasks.tasks.mm.data.below=..."),
        ({"A": 3}, "Column 'A' of task 'mm' holds more than numbers"),
        ({"idnex": 3}, "Did you mean 'index'"),
    ],
)
def test_a_bound_without_rows_is_refused(pictures, tmp_path, below, said):
    path = write_parquet(mmbench_rows(pictures, 3), tmp_path / "rows.parquet")
    columns = {"id": "index", "options": ["A", "B", "C", "D"]}
    with pytest.raises(ConfigError) as caught:
        load_task("mm", read_task("choices", data={"path": path, "below": below}, columns=columns))
    assert said in str(caught.value)


def test_a_row_without_its_name_is_refused(pictures, tmp_path):
    rows = mmbench_rows(pictures, 3)
    rows[2]["index"] = None
    path = write_parquet(rows, tmp_path / "rows.parquet")
    columns = {"id": "index", "options": ["A", "B", "C", "D"]}
    with pytest.raises(ConfigError, match="'index' of task 'mm' is empty in row 2") as caught:
        load_task("mm", read_task("choices", data={"path": path}, columns=columns))
    assert "tasks.tasks.mm.columns.id=null" in str(caught.value)


def test_a_pair_is_of_the_whole_table_whichever_rows_count(pictures, tmp_path):
    rows = [
        {**row, "kind": kind} for row, kind in zip(mmvp_rows(pictures), "aabbabbabbaa", strict=True)
    ]
    path = write_parquet(rows, tmp_path / "rows.parquet")
    # Rows 0, 1, 4, 7, 10, 11: two pairs are left with a row each.
    with pytest.raises(ConfigError, match="6 rows, which are not groups of 2"):
        load_task("mmvp", read_task("mmvp", data={"path": path, "where": {"kind": "a"}}))
    config = read_task("mmvp", data={"path": path, "where": {"Options": "(a) Big (b) Small"}})
    with pytest.raises(ConfigError, match="not groups of 2"):
        load_task("mmvp", config)


def test_rows_that_are_no_whole_groups_are_refused(pictures, tmp_path):
    path = write_parquet(mmvp_rows(pictures, 5), tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="5 rows, which are not groups of 2"):
        load_task("mmvp", read_task("mmvp", data={"path": path}))


@pytest.mark.parametrize(
    ("text", "separator", "options"),
    [
        ("(a) Open (b) Closed", None, ("Open", "Closed")),
        ("A. one\nB. two, or more\nC. three", None, ("one", "two, or more", "three")),
        ("(A) yes (it is)\n(B) no", None, ("yes (it is)", "no")),
        ("(a) key (x) down (b) key (y) up", None, ("key (x) down", "key (y) up")),
        ("A. one\nI. e. 1\nB. two", None, ("one\nI. e. 1", "two")),
        ("red; green;blue", ";", ("red", "green", "blue")),
        ("red; green;;blue;", ";", ("red", "green", "blue")),
    ],
)
def test_a_text_of_options_is_split(pictures, tmp_path, text, separator, options):
    rows = [{**row, "Options": text} for row in mmvp_rows(pictures, 2)]
    path = write_parquet(rows, tmp_path / "rows.parquet")
    config = read_task("mmvp", data={"path": path}, separator=separator)
    assert load_task("mmvp", config)._items[0].options == options


@pytest.mark.parametrize(
    "text", ["open, closed", "(b) Open (a) Closed", "one (a) two (b) three", "(a) 1 (b) (b) 2"]
)
def test_marks_that_do_not_say_which_option_is_which_are_refused(pictures, tmp_path, text):
    rows = [{**row, "Options": text} for row in mmvp_rows(pictures, 2)]
    path = write_parquet(rows, tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match=r"not marked .* Fix: tasks.tasks.mmvp.separator="):
        load_task("mmvp", read_task("mmvp", data={"path": path}))


def test_an_answer_counts_the_places_of_empty_options(pictures, tmp_path):
    rows = mmbench_rows(pictures, 1)
    rows[0] |= {"A": "one", "B": "nan", "C": None, "D": "four", "answer": "D"}
    path = write_parquet(rows, tmp_path / "rows.parquet")
    item = load_task("mm", read_task("mmbench-accuracy", data={"path": path}))._items[0]
    assert (item.options, item.answer) == (("one", "four"), 1)


def test_a_sample_has_blank_images(shipped, pictures, tmp_path):
    path = write_hub_parquet(mmvp_rows(pictures), tmp_path / "train.parquet")
    task = load_task("mmvp", read_task("mmvp", data={"path": path}))
    assert outcome_of(task.sample([0, 1, 4]), shipped, EVALUATION).result.n == 2


def test_a_part_of_a_table_is_chosen_by_its_values(pictures, tmp_path):
    rows = [{**row, "kind": "ab"[number % 2]} for number, row in enumerate(mmvp_rows(pictures))]
    path = write_parquet(rows, tmp_path / "rows.parquet")
    data = {"path": path, "where": {"kind": "b"}}
    task = load_task("one", read_task("mmvp-accuracy", data=data, group_rows=1))
    assert [item.image for item in task._items] == list(range(6))
    assert [item.id for item in task._items] == [str(n) for n in range(6)]
    assert task._items[0].answer == int(mmvp_rows(pictures)[1]["Correct Answer"] == "(b)")
