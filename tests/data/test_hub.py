"""Image-classification sets of the hub: where they are, what their labels mean, and what is never trained on."""

import datasets
import huggingface_hub.constants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Value
from datasets import Image as ImageFeature
from tests.data.hub_sets import cell, labelled, picture, write_hub, write_saved

from ablate.config.errors import ConfigError
from ablate.config.reading import read_run_config
from ablate.data.blank import without_images
from ablate.data.tables.read import no_bars
from ablate.plans.base import compose_words
from ablate.recipes.data import load_data

NAMES = ["AnnualCrop", "Forest", "SeaLake"]
FEATURES = Features(id=Value("string"), image=ImageFeature(), label=ClassLabel(names=NAMES))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def parts():
    return {
        "train": labelled("train", [row % 3 for row in range(30)]),
        "test": labelled("test", [row % 3 for row in range(9)]),
    }


def config_of(path, *words):
    given = [f"data.path={path}", "data.shots=2", *words]
    return read_run_config(compose_words(["data=hub", *given], None).config).data


def load(path, *words, trained_on=True):
    return load_data(config_of(path, *words), trained_on)


def refused(path, *words):
    with pytest.raises(ConfigError) as caught:
        load(path, *words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pictures_of(source):
    return {image.tobytes() for image in source.images(range(len(source.ids)))}


def test_a_set_is_the_same_wherever_it_is_kept(parts, tmp_path):
    hub = write_hub(tmp_path / "hub", parts, FEATURES)
    places = {
        "hub": [hub],
        "saved": [write_saved(tmp_path / "saved", parts, FEATURES)],
        "files": [
            f"{hub}/data/train-00000-of-00001.parquet",
            f"data.parts.test.path={hub}/data/test-00000-of-00001.parquet",
        ],
        "mirror": ["no-such/hub", f"data.mirrors=[{tmp_path / 'none' / 'hub'},{hub}]"],
    }
    found = {name: load(*words, "data.columns.id=id") for name, words in places.items()}
    assert len({data.fingerprint for data in found.values()}) == 1
    data = found["hub"]
    assert data.class_names == tuple(NAMES)
    assert list(data.test.ids) == [f"test-{row}" for row in range(9)]
    assert list(data.test.labels) == [row % 3 for row in range(9)]
    assert data.test.images([4])[0].tobytes() == picture("test-4").tobytes()
    assert list(load(hub).test.ids)[:2] == ["0", "1"]


def test_a_place_that_was_given_is_not_made_up_for_by_a_mirror(parts, tmp_path):
    hub = write_hub(tmp_path / "hub", parts, FEATURES)
    for place in (tmp_path / "gone" / "hub", "mine/other"):
        assert "cannot be read from" in refused(place, f"data.mirrors=[{hub}]")


def test_the_fingerprint_follows_content(parts, tmp_path):
    first = load(write_hub(tmp_path / "one", parts, FEATURES)).fingerprint
    parts["test"][3]["image"] = cell(picture("another"))
    assert load(write_hub(tmp_path / "two", parts, FEATURES)).fingerprint != first
    assert load(tmp_path / "one", "data.class_names={Forest: wood}").fingerprint != first


def test_what_is_held_out_is_never_trained_on(parts, tmp_path):
    path = write_hub(tmp_path / "hub", parts, FEATURES)
    test, development = load(path), load(path, "data.draw=development")
    # A tenth of the ten images of each class, whichever part is evaluated.
    assert (len(test.train.ids), len(development.test.ids)) == (27, 3)
    assert pictures_of(test.train) == pictures_of(development.train)
    assert sorted(development.test.labels) == [0, 1, 2]
    for data in (test, development):
        assert not pictures_of(data.train) & pictures_of(data.test)
    assert len(load(path, "data.development_fraction=0").train.ids) == 30
    message = refused(path, "data.draw=development", "data.development_fraction=0")
    assert "has no such part. Fix: data.development_fraction=0.1" in message


def test_a_set_without_a_test_part_is_divided_and_copies_stay_together(tmp_path):
    rows = labelled("train", [row % 3 for row in range(30)])
    rows += [{**row, "id": f"copy of {row['id']}"} for row in rows[:9]]
    path = write_hub(tmp_path / "hub", {"train": rows}, FEATURES)
    data = load(path, "data.parts.test=null", "data.columns.id=id")
    sides = set(data.train.ids), set(data.test.ids)
    assert len(data.test.ids) >= 15
    for row in rows[:9]:
        assert any({row["id"], f"copy of {row['id']}"} <= side for side in sides) or not any(
            row["id"] in side for side in sides
        )
    file = next((tmp_path / "hub" / "data").iterdir())
    with no_bars():
        datasets.Dataset.from_parquet(str(file)).save_to_disk(tmp_path / "saved")
    for place in (file, tmp_path / "saved"):
        assert "is one table, which has no parts" in refused(place)
    assert "Available: train. Fix: data.parts=<parts that are there>, null" in refused(path)
    assert load(file, "data.parts.test=null").class_names == tuple(NAMES)


def test_copies_of_evaluated_rows_are_refused_or_left_out(parts, tmp_path):
    parts["train"][4]["image"] = parts["test"][7]["image"]
    path = write_hub(tmp_path / "hub", parts, FEATURES)
    words = ["data.development_fraction=0", "data.columns.id=id"]
    message = refused(path, *words)
    assert "1 of 30 training rows of data set 'hub' are copies" in message
    assert "(row 4 is the first)" in message
    data = load(path, *words, "data.copies=leave-out")
    assert "train-4" not in data.train.ids
    assert len(data.train.ids) == 29


@pytest.mark.parametrize(
    ("labels", "words", "names"),
    [
        (["sea_lake", "forest", "forest"], [], ("forest", "sea lake")),
        (["sea_lake", "forest", "a"], ["{a: annual crop}"], ("annual crop", "forest", "sea lake")),
        ([1, 0, 2], ["[crop,wood,sea]"], ("crop", "wood", "sea")),
        # Numbers as the data write them.
        (["00001", "00000", "00012"], ["[a,b,c,d,e,f,g,h,i,j,k,l,m]"], tuple("abcdefghijklm")),
        # Classes that no row has are options all the same.
        ([1, 0, 1], ["[crop,wood,sea]"], ("crop", "wood", "sea")),
    ],
)
def test_labels_of_every_kind(tmp_path, labels, words, names):
    parts = {part: labelled(part, labels * 4) for part in ("train", "test")}
    path = write_hub(tmp_path / "hub", parts)
    data = load(path, *[f"data.class_names={word}" for word in words], trained_on=False)
    assert data.class_names == names
    called = [names[label] for label in data.test.labels[:3]]
    if labels[0] == "00001":
        assert list(data.test.labels[:3]) == [1, 0, 12]
    elif isinstance(labels[0], str):
        assert [name.replace(" ", "_") for name in called if name != "annual crop"] == [
            label for label in labels if label != "a"
        ]
    else:
        assert list(data.test.labels[:3]) == labels


def test_class_numbers_that_are_sorted_as_texts_are_read_as_numbers(tmp_path):
    names = sorted(map(str, range(12)))
    assert names[2] == "10"
    features = Features({**FEATURES, "label": ClassLabel(names=names)})
    # Row r is of the class that is called r, at its place among the texts.
    parts = {
        p: labelled(p, [names.index(str(r % 12)) for r in range(36)]) for p in ("train", "test")
    }
    signs = ",".join(f"sign{number}" for number in range(12))
    data = load(write_hub(tmp_path / "hub", parts, features), f"data.class_names=[{signs}]")
    assert data.class_names == tuple(signs.split(","))
    assert list(data.test.labels) == [row % 12 for row in range(36)]


def test_numbers_that_mean_other_classes_in_another_part_are_refused(parts, tmp_path):
    path, other = (tmp_path / name for name in ("hub", "other"))
    reversed_names = Features({**FEATURES, "label": ClassLabel(names=NAMES[::-1])})
    # Of files in one folder, `datasets` would read all by the names of the first.
    write_hub(path, {"train": parts["train"]}, FEATURES)
    write_hub(path, {"test": parts["test"]}, reversed_names)
    assert "has other classes, or in another order" in refused(path)
    write_hub(other, {"train": parts["train"]})
    words = ["data.class_names=[crop,wood,sea]", f"data.parts.test.path={path}/data"]
    file = "test-00000-of-00001.parquet"
    assert "has other classes in one part" in refused(other, words[0], f"{words[1]}/{file}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.columns.label=lable"], "Did you mean 'label'?"),
        (["data.columns.image=label"], "not images. Fix: if it names files, data.image_folder="),
        (["data.columns.label=id"], "has 1 training row of class 'train "),
        (["data.parts.train.split=trian"], "trian"),
        (["data.class_names=[a,b]"], "has 3 classes, but data.class_names has 2 names"),
        (["data.class_names={Forrest: wood}"], "Did you mean 'Forest'?"),
        (["data.class_names={Forest: sealake}"], "are both called 'SeaLake' but for case"),
        (["data.shots=10"], "has only 9 training images"),
        (["data.where={label: 7}"], "No row of data set 'hub' has label: 7"),
    ],
)
def test_a_mistake_is_one_line(parts, tmp_path, words, said):
    path = write_hub(tmp_path / "hub", parts, FEATURES)
    assert said in refused(path, *words)


def test_a_number_that_no_name_is_for_is_refused(parts, tmp_path):
    parts["test"][4]["label"] = 1
    path = write_hub(tmp_path / "hub", parts, FEATURES)
    (file,) = (tmp_path / "hub" / "data").glob("test*")
    table = pq.read_table(file)
    labels = pa.array(
        [3 if row == 4 else label for row, label in enumerate(table["label"].to_pylist())]
    )
    place = table.schema.get_field_index("label")
    pq.write_table(table.set_column(place, table.schema.field(place), labels), file)
    assert "Row 4 of data set 'hub' has class 3 in 'label', whose 3 names" in refused(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": None}, "Row 1 of data set 'hub' has no label in 'label'"),
        ({"label": -1}, "has no label"),
        ({"image": {"bytes": b"no image", "path": None}}, "cannot be decoded"),
        ({"image": {"bytes": None, "path": None}}, "is empty"),
        ({"label": 2}, "holds class 2, but data.class_names has 2 names"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, change, said):
    rows = labelled("train", [0, 1] * 4)
    rows[1] |= change
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    words = ["data.class_names=[a,b]", "data.columns.id=id", "data.parts.test=null"]
    assert said in refused(file, *words, "data.shots=1")


def test_an_answer_that_is_a_class_is_read_by_its_name(tmp_path):
    rows = [{**row, "question": "so?"} for row in labelled("train", [0, 1] * 4)]
    said = ClassLabel(names=["yes", "no"])
    path = write_hub(
        tmp_path / "hub",
        {"train": rows},
        Features(**{**FEATURES, "label": said, "question": Value("string")}),
    )
    words = ["data=yes-no", f"data.path={path}", "data.columns.answer=label", "data.shots=1"]
    words += ["data.parts.test=null", "data.development_fraction=0"]
    data = load_data(read_run_config(compose_words(words, None).config).data)
    asked = zip(data.test.ids, data.test.questions(range(len(data.test.ids))), strict=True)
    assert all(item.answer == rows[int(row)]["label"] for row, item in asked)
    # What a price is reckoned from: the same questions, and no image is decoded.
    blank = without_images(data)
    assert blank.train.questions([0, 1]) == data.train.questions([0, 1])
    assert {image.size for image in blank.train.images([0, 1])} == {(1, 1)}


def test_two_images_of_one_name_are_refused(tmp_path):
    rows = [{**row, "id": "same"} for row in labelled("train", ["a", "b"] * 4)]
    path = write_hub(tmp_path / "hub", {"train": rows})
    words = ["data.columns.id=id", "data.parts.test=null"]
    assert (
        "Two items of data set 'hub' have the id 'same'. Fix: remove one, or data.columns.id"
        in (refused(path, *words))
    )


def test_rows_of_a_part_are_chosen_by_their_values(tmp_path):
    rows = [
        {**row, "source": "web" if number % 2 else "scan", "clean": number < 20}
        for number, row in enumerate(labelled("train", ["a", "b"] * 20))
    ]
    path = write_hub(tmp_path / "hub", {"train": rows})
    words = ["data.parts.test=null", "data.columns.id=id", "data.shots=1"]
    data = load(path, *words, "data.where={clean: true}")
    assert len(data.train.ids) + len(data.test.ids) <= 20
    assert {int(id_.split("-")[1]) for id_ in (*data.train.ids, *data.test.ids)} <= set(range(20))


def test_images_in_files_of_a_folder(tmp_path):
    folder = tmp_path / "img"
    folder.mkdir()
    lines = []
    for number in range(12):
        picture(str(number)).save(folder / f"{number}.png")
        lines.append(
            f'{{"img": "{number}.png", "class": "{"ab"[number % 2]}", "text": "a\u2028b"}}'
        )
    (tmp_path / "all.jsonl").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    words = ["data.columns={id: img, image: img, label: class}", f"data.image_folder={folder}"]
    files = ["data.files={train: all.jsonl}", "data.parts.test=null"]
    data = load(tmp_path, *words, *files)
    assert data.class_names == ("a", "b")
    assert data.test.images([0])[0].tobytes() == picture(data.test.ids[0][:-4]).tobytes()
    (folder / "3.png").unlink()
    assert "refers to image '3.png', which is not in" in refused(tmp_path, *words, *files)
    assert "there is no 'non.jsonl'" in refused(
        tmp_path, *words, "data.files={train: non.jsonl}", files[1]
    )
