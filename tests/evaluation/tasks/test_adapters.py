"""Adapters of real data sets, on rows of their public columns that the test writes itself."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, Features, Value
from datasets import Image as ImageFeature
from PIL import Image
from tests.evaluation.tasks.suites import EVALUATION, Outcome, outcome_of, predictions, read_task
from transformers import CLIPImageProcessorPil

from ablate.config.errors import ConfigError
from ablate.config.schema import EvalConfig
from ablate.evaluation.task import evaluation_of
from ablate.evaluation.tasks.load import load_task
from ablate.models.encoders.preprocessing import resized

ANSWER = "{question}"


def evaluated(task, vlm, evaluation=EVALUATION):
    outcome = outcome_of(task, vlm, evaluation)
    assert task.n == outcome.result.n == len(outcome.items)
    return outcome


def scored(task, texts, sizes):
    """Score texts that no model wrote."""
    items = [task.scored(*one) for one in zip(task._chosen, texts, sizes, strict=True)]
    (row,) = evaluation_of(task, {task.metrics[0].name: items}).rows
    return Outcome(row, items)


def people(answer, n=10, other="something else"):
    """Ten people's answers of which `n` are one."""
    return [answer] * n + [other] * (10 - n)


def vqav2_rows(pictures):
    return [
        {
            "question_type": "what",
            "multiple_choice_answer": shape,
            "answers": [
                {"answer": text, "answer_confidence": "yes", "answer_id": number + 1}
                for number, text in enumerate(people(f"The {shape}."))
            ],
            "image_id": row,
            "answer_type": "other",
            "question_id": 1000 + row,
            "question": pictures.question,
            "image": pictures.png(row),
        }
        for row, shape in enumerate(pictures.shapes)
    ]


def write_parquet(rows, file):
    """As pandas or pyarrow write it: nothing in the file says that bytes are images."""
    pq.write_table(pa.Table.from_pylist(rows), file)
    return str(file)


def write_hub_parquet(rows, file, image="image"):
    """As the hub holds it: the file says which column holds images."""
    table = Dataset.from_list(rows)
    table.cast_column(image, ImageFeature()).to_parquet(str(file))
    return str(file)


@pytest.mark.parametrize("write", [write_parquet, write_hub_parquet])
def test_vqav2(shipped, pictures, tmp_path, write):
    path = write(vqav2_rows(pictures), tmp_path / "validation.parquet")
    task = load_task("vqav2", read_task("vqav2", data={"path": path}, prompt=ANSWER))
    outcome = evaluated(task, shipped)
    assert (task.n, task.kind, task.metrics[0].name) == (
        len(pictures.shapes),
        "vision",
        "vqa_accuracy",
    )
    assert outcome.result.value > 0.9
    assert [item.id for item in outcome.items] == [str(1000 + row) for row in range(task.n)]
    assert outcome.items[0].prediction == pictures.shapes[0]


def test_a_task_does_not_depend_on_where_and_how_its_rows_are_kept(pictures, tmp_path):
    rows = vqav2_rows(pictures)
    folder = tmp_path / "saved"
    table = Dataset.from_list(rows).cast_column("image", ImageFeature())
    DatasetDict({"validation": table}).save_to_disk(folder)
    hub = tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    table.to_parquet(hub / "validation-00000-of-00001.parquet")
    places = [
        write_parquet(rows, tmp_path / "rows.parquet"),
        write_hub_parquet(rows, tmp_path / "hub.parquet"),
        str(folder),
        str(hub.parent),
    ]
    prints = [
        load_task("one", read_task("vqav2", data={"path": place})).fingerprint for place in places
    ]
    assert len(set(prints)) == 1
    rows[0]["question"] = "what else?"
    changed = write_parquet(rows, tmp_path / "changed.parquet")
    assert load_task("one", read_task("vqav2", data={"path": changed})).fingerprint != prints[0]


def test_the_items_of_a_part_are_the_same_in_any_order(pictures, tmp_path):
    rows = vqav2_rows(pictures)
    places = [
        write_parquet(rows, tmp_path / "one.parquet"),
        write_parquet(rows[::-1], tmp_path / "other.parquet"),
    ]
    ids = []
    for place in places:
        task = load_task("one", read_task("vqav2", data={"path": place}, items=5))
        ids.append({item.id for item in task._chosen})
        assert task.n == 5
    assert ids[0] == ids[1]


def test_batch_size_changes_no_answer_and_an_image_is_decoded_once_a_batch(
    shipped, pictures, tmp_path
):
    rows = [row for row in vqav2_rows(pictures)[:6] for _ in range(2)]
    rows = [{**row, "question_id": number} for number, row in enumerate(rows)]
    # Two questions about one image: the same picture file, named by both rows.
    for number, row in enumerate(rows):
        pictures.images[number // 2].save(tmp_path / f"{number // 2}.png")
        row["image"] = f"{number // 2}.png"
    path = write_parquet(rows, tmp_path / "rows.parquet")
    config = read_task("vqav2", data={"path": path, "image_folder": str(tmp_path)}, prompt=ANSWER)
    task = load_task("one", config)
    decoded: list[int] = []
    decode = task._rows.image
    object.__setattr__(task._rows, "image", lambda row: (decoded.append(row), decode(row))[1])
    tables = []
    for size in (1, 4, 100):
        decoded.clear()
        evaluation = EvalConfig(batch_size=size, n_options=5, seed=0, max_new_tokens=8)
        tables.append(evaluated(task, shipped, evaluation).items)
        assert len(decoded) == (12 if size == 1 else 6)
    assert tables[0] == tables[1] == tables[2]


def test_vizwiz_and_textvqa(shipped, pictures, tmp_path):
    vizwiz = [
        {
            "question_id": f"VizWiz_val_{row:08d}.jpg",
            "image": pictures.png(row),
            "question": pictures.question,
            "answers": people(shape, 2),
            "category": "other",
        }
        for row, shape in enumerate(pictures.shapes)
    ]
    textvqa = [
        {
            "image_id": f"{row:016x}",
            "question_id": 34602 + row,
            "question": pictures.question,
            "question_tokens": pictures.question.split(),
            "image": pictures.png(row),
            "image_width": 32,
            "image_height": 32,
            "answers": people(shape),
            "ocr_tokens": [],
            "set_name": "val",
        }
        for row, shape in enumerate(pictures.shapes)
    ]
    for name, rows, value in (("vizwiz", vizwiz, 0.6), ("textvqa", textvqa, 1.0)):
        path = write_hub_parquet(rows, tmp_path / f"{name}.parquet")
        task = load_task(name, read_task(name, data={"path": path}, prompt=ANSWER))
        found = evaluated(task, shipped)
        right = sum(p == s for p, s in zip(predictions(found), pictures.shapes, strict=True))
        assert right > 20
        assert found.result.value == pytest.approx(value * right / task.n)


def test_gqa_joins_its_questions_with_their_images(shipped, pictures, tmp_path):
    questions = [
        {
            "id": f"2020{row}",
            "imageId": f"n{row // 2}",
            "question": pictures.question,
            "answer": pictures.shapes[row // 2].capitalize(),
            "fullAnswer": f"It is a {pictures.shapes[row // 2]}.",
            "isBalanced": True,
        }
        for row in range(24)
    ]
    # In another order than the questions.
    images = [{"id": f"n{row}", "image": pictures.png(row)} for row in reversed(range(12))]
    places = {
        "path": write_parquet(questions, tmp_path / "questions.parquet"),
        "image_table": {"path": write_hub_parquet(images, tmp_path / "images.parquet")},
    }
    task = load_task("gqa", read_task("gqa", data=places, prompt=ANSWER))
    outcome = evaluated(task, shipped)
    assert (task.n, task.metrics[0].name) == (24, "exact_match")
    assert outcome.result.value > 0.8
    write_hub_parquet(images[:-1], tmp_path / "images.parquet")
    with pytest.raises(ConfigError, match="refers to image 'n0'"):
        load_task("gqa", read_task("gqa", data=places))


def test_pope(shipped, pictures, tmp_path):
    rows = [
        {
            "id": str(row),
            "question_id": str(row),
            "question": pictures.size_question,
            "answer": "yes" if size == "small" else "no",
            "image_source": f"COCO_val2014_{row:012d}",
            "image": pictures.png(row),
            "category": "random",
        }
        for row, size in enumerate(pictures.sizes)
    ]
    path = write_hub_parquet(rows, tmp_path / "test.parquet")
    changes = {
        "data": {"path": path},
        "prompt": ANSWER,
        "positive": "small",
        "negative": "big",
    }
    outcome = evaluated(load_task("pope", read_task("pope", **changes)), shipped)
    assert outcome.result.metric == "f1"
    assert outcome.result.value > 0.9
    by_share = evaluated(load_task("pope", read_task("pope-accuracy", **changes)), shipped)
    assert (by_share.result.metric, by_share.result.chance) == ("accuracy", 0.5)
    assert by_share.result.value == np.mean([item.score for item in by_share.items])
    # Nothing that can be read counts as wrong.
    mute = load_task("pope", read_task("pope-accuracy", **{**changes, "positive": "aye"}))
    assert evaluated(mute, shipped).result.value == pytest.approx(
        sum(size == "big" for size in predictions(by_share)) / mute.n, abs=0.05
    )


def test_vsr_finds_its_images_in_a_folder(shipped, pictures, tmp_path):
    folder = tmp_path / "trainval2017"
    folder.mkdir()
    lines = []
    for row, size in enumerate(pictures.sizes):
        pictures.images[row].save(folder / f"{row:012d}.png")
        lines.append(
            {
                "image": f"{row:012d}.png",
                "image_link": f"http://images.cocodataset.org/train2017/{row:012d}.jpg",
                "caption": pictures.size_question,
                "label": int(size == "small"),
                "relation": "is",
                "annotator_id": 1,
                "vote_true_validator_id": [1, 2],
                "vote_false_validator_id": [],
            }
        )
    file = tmp_path / "test.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    data = {"path": str(file), "image_folder": str(folder)}
    changes = {"data": data, "prompt": ANSWER, "positive": "small", "negative": "big"}
    outcome = evaluated(load_task("vsr", read_task("vsr", **changes)), shipped)
    assert outcome.result.value > 0.9
    assert [item.id for item in outcome.items][:2] == ["0", "1"]
    (folder / f"{3:012d}.png").unlink()
    with pytest.raises(ConfigError, match=rf"{3:012d}.png', which is not in '.*'. Fix: tasks"):
        load_task("vsr", read_task("vsr", **changes))


def refcoco_rows(pictures):
    return [
        {
            "question_id": str(row),
            "image": pictures.png(row),
            "question": "Please carefully observe the area circled in the image.",
            "answer": ["the shape", "that thing"],
            "segmentation": [0.0, 0.0, 16.0, 0.0, 16.0, 8.0],
            "bbox": [8.0, 16.0, 16.0, 8.0],
            "iscrowd": 0,
            "file_name": f"COCO_train2014_{row:012d}_0.jpg",
        }
        for row in range(3)
    ]


def test_refcoco(shipped, pictures, tmp_path):
    path = write_hub_parquet(refcoco_rows(pictures), tmp_path / "val.parquet")
    task = load_task("refcoco", read_task("refcoco", data={"path": path}))
    assert [item.id for item in task._chosen] == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    outcome = evaluated(task, shipped)
    assert outcome.result.value == 0.0
    # The box from (8, 16) to (24, 24) in an image of 32 pixels.
    assert [item.answer for item in outcome.items] == ["0.25, 0.5, 0.75, 0.75"] * 6
    said = [
        "[0.25, 0.5, 0.75, 0.75]",
        "it is at 0.25, 0.5, 0.50, 0.75",  # half of it: IoU is 0.5
        "[0.25, 0.5, 0.49, 0.75]",
        "8, 16, 24, 24",  # pixels are another convention
        "[0.75, 0.5, 0.25, 0.75]",
        "no idea",
    ]
    scored_task = scored(task, said, [(32, 32)] * 6)
    assert [item.score for item in scored_task.items] == [True, True, False, False, False, False]
    assert scored_task.result.value == pytest.approx(2 / 6)
    assert [said is None for said in predictions(scored_task)] == [False] * 4 + [True] * 2


def test_boxes_on_another_scale_and_threshold(pictures, tmp_path):
    path = write_hub_parquet(refcoco_rows(pictures), tmp_path / "val.parquet")
    config = read_task("refcoco", data={"path": path}, answer_scale=1000, iou=0.9, items=1)
    task = load_task("refcoco", config)
    for text, right in (("<box>250 500 750 750</box>", True), ("250, 500, 650, 750", False)):
        assert scored(task, [text], [(32, 32)]).items[0].score == right


def test_ocid_ref(shipped, pictures, tmp_path):
    folder = tmp_path / "OCID-dataset"
    rows = {}
    for row in range(4):
        place = f"ARID20/table/top/seq{row:02d}/rgb/result.png"
        (folder / place).parent.mkdir(parents=True)
        pictures.images[row].save(folder / place)
        rows[str(305 + row)] = {
            "seq_id": row,
            "scene_id": row,
            "take_id": 3,
            "scene_path": place,
            "sequence_path": f"ARID20/table/top/seq{row:02d}",
            "sub_dataset": "ARID20",
            "instance_id": 7,
            "class": "fruit",
            "sentence": "the apple on the left",
            "tokens": ["the", "apple", "on", "the", "left"],
            "bbox": "[8, 16, 24, 24]",
        }
    file = tmp_path / "val_expressions.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    data = {"path": str(file), "image_folder": str(folder)}
    task = load_task("ocid-ref", read_task("ocid-ref", data=data))
    outcome = evaluated(task, shipped)
    assert [item.id for item in outcome.items] == ["305", "306", "307", "308"]
    assert [item.answer for item in outcome.items] == ["0.25, 0.5, 0.75, 0.75"] * 4
    other = read_task("ocid-ref", data=data, box="left-top-width-height")
    with pytest.raises(
        ConfigError, match="whose corners are 8, 16, 32, 40, beyond its image of 32 x 32"
    ):
        load_task("ocid-ref", other)


def broken(rows, **changes):
    return [{**rows[0], **changes}, *rows[1:]]


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        (
            "vqav2",
            {"answers": None},
            "Item '1000' of task 'one' has no answer. Fix: tasks.tasks.one.data.split",
        ),
        ("vqav2", {"answers": [{"answer": "x"}] * 3}, "has 3 answers; vqa_accuracy needs"),
        ("vqav2", {"question": None}, "Item '1000' of task 'one' has no question"),
        ("vqav2", {"question": " "}, "has no question. Fix: tasks.tasks.one.columns.question"),
        ("refcoco", {"answer": None}, "has an empty expression"),
        ("refcoco", {"answer": ["left", ""]}, "has an empty expression"),
        ("refcoco", {"bbox": [1.0, 2.0, 3.0]}, "not four numbers"),
        ("refcoco", {"bbox": [1.0, 2.0, math.inf, 3.0]}, "is empty or endless as left-top"),
        ("refcoco", {"bbox": [8.0, 16.0, 32.0, 24.0]}, "beyond its image of 32 x 32 pixels"),
        ("refcoco", {"bbox": [8.0, 16.0, 0.0, 8.0]}, "is empty or endless as left-top"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named(pictures, tmp_path, task, change, message):
    rows = vqav2_rows(pictures) if task == "vqav2" else refcoco_rows(pictures)
    rows = broken(rows, **change)
    if "answers" in change:
        rows = [{**row, "answers": row["answers"] and row["answers"][:3]} for row in rows]
    path = write_parquet(rows, tmp_path / "rows.parquet")
    with pytest.raises(ConfigError) as caught:
        load_task("one", read_task(task, data={"path": path}))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "changes", "words"),
    [
        ("nowhere.parquet", {}, ["data of task 'one'", "nowhere.parquet", "Fix: tasks.tasks.one"]),
        ("nowhere.json", {}, ["data of task 'one'", "nowhere.json"]),
        ("text.json", {}, ["it holds no rows of columns"]),
        ("empty.jsonl", {}, ["it holds no rows of columns"]),
        ("rows.csv", {}, ["a file is read if it is one of .parquet, .json, .jsonl"]),
        ("broken.jsonl", {}, ["Line 2 of", "broken.jsonl is not JSON"]),
        ("saved", {"split": "tset"}, ["Unknown split", "'tset'", "Did you mean 'test'?"]),
        ("saved", {"columns": {"question": "qestion"}}, ["Did you mean 'question'?"]),
        ("saved", {"columns": {"image": "question"}}, ["not images", "image_folder"]),
    ],
)
def test_data_that_cannot_be_read_are_one_line(tmp_path, pictures, path, changes, words):
    (tmp_path / "text.json").write_text('["a", "b"]', encoding="utf-8")
    for name in ("empty.jsonl", "rows.csv"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "broken.jsonl").write_text('{"a": 1}\n{"a": \n', encoding="utf-8")
    table = Dataset.from_list(vqav2_rows(pictures)).cast_column("image", ImageFeature())
    DatasetDict({"test": table}).save_to_disk(tmp_path / "saved")
    columns = changes.get("columns", {})
    data = {"path": str(tmp_path / path), "split": changes.get("split", "test")}
    with pytest.raises(ConfigError) as caught:
        load_task("one", read_task("vqav2", data=data, columns=columns))
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_an_image_that_is_none_is_named_before_any_model_is_loaded(pictures, tmp_path):
    rows = broken(vqav2_rows(pictures), image={"bytes": b"no image", "path": None})
    path = write_parquet(rows, tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="'image of row 0 of task one' cannot be decoded"):
        load_task("one", read_task("vqav2", data={"path": path}))
    # Only images with a question have to be there.
    config = read_task("vqav2", data={"path": path}, items=1)
    one = load_task("one", config)
    assert [item.row for item in one._chosen] != [0]


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError) as caught:
        load_task("one", read_task("pope"))
    assert "The data of task 'one' cannot be read from 'lmms-lab-encoder/POPE'" in str(caught.value)
    assert "there is no such folder or file, and the hub cannot be asked" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_of_any_mode_are_read_as_rgb(tmp_path, pictures):
    table = Dataset.from_dict(
        {
            "id": ["a"],
            "image": [pictures.images[0].convert("RGBA")],
            "question": ["is it so?"],
            "answer": ["no"],
        },
        features=Features(
            id=Value("string"),
            image=ImageFeature(),
            question=Value("string"),
            answer=Value("string"),
        ),
    )
    table.save_to_disk(tmp_path / "saved")
    task = load_task("one", read_task("pope", data={"path": str(tmp_path / "saved")}))
    assert task._rows.image(0).mode == "RGB"


def test_boxes_counted_from_the_padded_square(pictures, tmp_path):
    """A model that sees images padded to a square gives numbers in it: the same box, by hand."""
    path = write_hub_parquet(refcoco_rows(pictures), tmp_path / "val.parquet")
    config = read_task("refcoco", data={"path": path}, answer_frame="padded", iou=0.9, items=1)
    task = load_task("refcoco", config)
    # Left 8, top 16, 16 wide and 8 high, in an image of 64 x 32: 16 pixels of bar above it.
    (item,) = scored(task, ["0.125, 0.5, 0.375, 0.625"], [(64, 32)]).items
    assert (item.answer, item.score) == ("0.125, 0.5, 0.375, 0.625", 1.0)
    assert scored(task, ["0.125, 0.5, 0.375, 0.75"], [(64, 32)]).items[0].score == 0.0


def test_boxes_counted_from_the_square_that_is_cut_out(pictures, tmp_path):
    """What CLIP's processor shows of a wide image is marked out, and found again in the pixels that it makes."""
    path = write_hub_parquet(refcoco_rows(pictures), tmp_path / "val.parquet")
    config = read_task("refcoco", data={"path": path}, answer_frame="cropped", iou=0.9, items=1)
    task = load_task("refcoco", config)
    # Left 8, top 16, 16 wide and 8 high, in an image of 64 x 32, of which columns 16 to 48 are shown.
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[16:24, 8:24] = 255
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    (shown,) = resized(processor, [Image.fromarray(pixels)])
    rows, columns = np.nonzero(shown[0].numpy())
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (16, 24, 0, 8)
    (item,) = scored(task, ["0, 0.5, 0.25, 0.75"], [(64, 32)]).items
    assert item.answer == "-0.25, 0.5, 0.25, 0.75"
    # Half of it lies beyond the edge, and cannot be found.
    assert item.score == 0.0
    assert scored(task, ["-0.25, 0.5, 0.25, 0.75"], [(64, 32)]).items[0].score == 1.0


def test_llava_is_asked_for_boxes_as_it_was_trained():
    from tests.evaluation.tasks.suites import read_suite

    asked = "Please provide the bounding box coordinate"
    for model, (start, frame) in {
        ("model=tiny",): ("Give the bounding box", "image"),
        ("model=tiny", "model.image_aspect=pad"): ("Give the bounding box", "padded"),
        ("model=llava-1.5-13b",): (asked, "padded"),
        ("model=llava-1.5-7b", "model.image_aspect=crop"): (asked, "cropped"),
    }.items():
        task = read_suite(*model, "tasks=tiny", "+task@tasks.tasks.b=refcoco").tasks["b"]
        assert task.prompt.startswith(start)
        assert task.answer_frame == frame
