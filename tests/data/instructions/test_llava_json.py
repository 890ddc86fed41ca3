import json
import shutil

import pytest
from PIL import Image

from ablate.config.errors import ConfigError
from ablate.config.schema import LlavaJsonData
from ablate.data.instructions.llava_json import load_llava_json

HUMAN, GPT = "human", "gpt"


def _entry(number, *texts, image=None):
    messages = [{"from": (HUMAN, GPT)[i % 2], "value": text} for i, text in enumerate(texts)]
    entry = {"id": f"e{number}", "conversations": messages}
    return entry if image is None else {**entry, "image": image}


ENTRIES = [
    _entry(0, "<image>\nWhat is this?", "A cat.", "And\u2028its colour?", " Red ", image="a/1.png"),
    _entry(1, "Say hello.", "Hello!"),
    _entry(2, "Describe it.\n<image>", "Blue <3 \u00e9", image="2.png"),
    _entry(3, "<image>\nAgain?", "Yes.", image="a/1.png"),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    Image.new("RGB", (6, 4), "red").save(tmp_path / "images" / "a" / "1.png")
    Image.new("L", (6, 4), 9).save(tmp_path / "images" / "2.png")
    return tmp_path


def _as_array(entries, **options):
    return json.dumps(entries, **options)


def _as_lines(entries):
    return "\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n"


def _config(folder, **changes):
    values = {
        "kind": "llava-json",
        "name": "mix",
        "path": str(folder / "mix.json"),
        "image_folder": str(folder / "images"),
        "conversations": None,
        "max_tokens": 512,
        "seed": 0,
    }
    return LlavaJsonData(**{**values, **changes})


def _load(folder, text, **changes):
    (folder / "mix.json").write_text(text, encoding="utf-8")
    return load_llava_json(_config(folder, **changes))


def _refused(folder, text, **changes):
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, **changes)
    message = str(caught.value)
    assert "\n" not in message
    assert "mix.json" in message
    return message


@pytest.mark.parametrize(
    "text",
    [
        _as_array(ENTRIES),
        _as_array(ENTRIES, indent=2),
        " \r\n" + _as_array(ENTRIES, ensure_ascii=False) + "\n\n",
        "\ufeff" + _as_array(ENTRIES),
        _as_lines(ENTRIES),
        _as_lines(ENTRIES).replace("\n", "\r\n\r\n"),
    ],
)
def test_every_form_of_the_file_reads_the_same(folder, text):
    data = _load(folder, text)
    assert [(item.id, item.image, item.turns) for item in data.conversations] == [
        ("e0", 0, (("What is this?", "A cat."), ("And\u2028its colour?", "Red"))),
        ("e1", None, (("Say hello.", "Hello!"),)),
        ("e2", 1, (("Describe it.", "Blue <3 \u00e9"),)),
        ("e3", 0, (("Again?", "Yes."),)),
    ]
    assert list(data.images.ids) == ["a/1.png", "2.png"]
    red, grey = data.images.images([0, 1])
    assert (red.mode, red.getpixel((0, 0))) == ("RGB", (255, 0, 0))
    assert (grey.mode, grey.getpixel((0, 0))) == ("RGB", (9, 9, 9))


def test_an_entry_without_an_id_is_called_by_its_number(folder):
    entries = [{key: value for key, value in entry.items() if key != "id"} for entry in ENTRIES]
    entries[1]["image"] = None
    data = _load(folder, _as_array(entries))
    assert [item.id for item in data.conversations] == ["1", "2", "3", "4"]


def test_a_draw_is_a_part_of_a_larger_one_in_the_order_of_the_file(folder):
    text = _as_lines([_entry(n, "Hi", "Hello") for n in range(50)])
    ids = {
        n: [item.id for item in _load(folder, text, conversations=n).conversations]
        for n in (5, 20, 50, 99)
    }
    assert ids[50] == ids[99] == [f"e{n}" for n in range(50)]
    assert set(ids[5]) < set(ids[20])
    assert [len(ids[5]), len(ids[20])] == [5, 20]
    assert ids[20] == sorted(ids[20], key=lambda id_: int(id_[1:])) != ids[50][:20]
    other = _load(folder, text, conversations=5, seed=1)
    assert [item.id for item in other.conversations] != ids[5]


def test_only_images_of_drawn_conversations_have_to_be_there(folder):
    entries = [_entry(n, "Hi", "Hello") for n in range(9)]
    drawn = _load(folder, _as_array(entries), conversations=5).conversations
    numbers = {int(item.id[1:]) for item in drawn}
    left = next(n for n in range(9) if n not in numbers)
    for number in (left, min(numbers)):
        entries[number]["image"] = "no.png"
        if number == left:
            again = _load(folder, _as_array(entries), conversations=5)
            assert again.conversations == drawn
        else:
            assert "'no.png'" in _refused(folder, _as_array(entries), conversations=5)


def test_the_fingerprint_follows_content_and_not_place(folder, tmp_path_factory):
    text = _as_array(ENTRIES)
    first = _load(folder, text).fingerprint
    moved = tmp_path_factory.mktemp("moved") / "elsewhere"
    shutil.copytree(folder, moved)
    assert load_llava_json(_config(moved)).fingerprint == first
    assert _load(folder, text, conversations=3).fingerprint != first
    assert _load(folder, text.replace("cat", "dog")).fingerprint != first
    _load(folder, text)
    # Other pixels in a file of the same size.
    entries = [{**ENTRIES[0], "image": "2.bmp"}]
    fingerprints = []
    for grey in (9, 10):
        Image.new("L", (6, 4), grey).save(folder / "images" / "2.bmp")
        fingerprints.append(_load(folder, _as_array(entries)).fingerprint)
    assert len(set(fingerprints)) == 2


def test_a_missing_image_is_named_by_line_and_entry(folder):
    (folder / "images" / "2.png").unlink()
    pretty = _as_array(ENTRIES, indent=2)
    line = 1 + pretty[: pretty.index('"e2"')].count("\n") - 1
    message = _refused(folder, pretty)
    assert f"line {line} (entry 3): image '2.png' is not in" in message
    assert pretty.splitlines()[line - 1].strip() == "{"
    assert "Fix: add the file, set data.image_folder, or remove the entry" in message
    assert "line 3 (entry 3)" in _refused(folder, _as_lines(ENTRIES))
    assert "line 1 (entry 3)" in _refused(folder, _as_array(ENTRIES))


def test_an_image_has_to_be_a_file_with_content_below_the_folder(folder):
    for name, word in [
        ("a", "is not a file in"),
        ("", "is not a file in"),
        ("1\0.png", "is not in"),
        ("x" * 300 + ".png", "is not in"),
        ("../mix.json", f"leads out of '{folder}/images'"),
        (str(folder / "images" / "2.png"), f"leads out of '{folder}/images'"),
    ]:
        assert word in _refused(folder, _as_lines([_entry(0, "Hi", "x", image=name)]))
    (folder / "images" / "2.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"images/2.png' cannot be decoded"):
        _load(folder, _as_lines(ENTRIES))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_as_lines(ENTRIES[:2]) + '{"id": "e2", "conv\n', "line 3: is not JSON (Unterminated"),
        (_as_lines(ENTRIES[:1]) + "\n\nhello\n", "line 4: is not JSON"),
        ('{\n  "id": 1\n}', "line 1: is not JSON"),
        (_as_array(ENTRIES, indent=1)[:-40], "is not JSON"),
        ('[\n{"id": 1,\n "image" 2}\n]', "line 3: is not JSON (Expecting ':'"),
        ("[\n" + json.dumps(ENTRIES[1]) + "\n" + json.dumps(ENTRIES[1]), "line 3: has '{' where"),
        ("[\n" + json.dumps(ENTRIES[1]) + "\n", "ends the file where ',' or ']'"),
        ("[\n" + json.dumps(ENTRIES[1]) + ",\n]", "line 3: is not JSON"),
        ("[\n" + json.dumps(ENTRIES[1]) + "\n]\n[]", "line 4: goes on after the array"),
        ("[", "line 1: is not JSON"),
    ],
)
def test_a_broken_line_is_named(folder, text, words):
    message = _refused(folder, text)
    assert words in message
    assert "Fix:" in message


def test_a_broken_character_is_named_by_line(folder):
    (folder / "mix.json").write_bytes(_as_lines(ENTRIES[:1]).encode() + b'{"id": "\xff"}\n')
    with pytest.raises(ConfigError, match="line 2: is not UTF-8 text"):
        load_llava_json(_config(folder))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (["a"], "is not an object"),
        ({"id": "x"}, "'conversations' has to be a list of messages"),
        ({"id": "x", "conversations": []}, "'conversations' has to be a list of messages"),
        ({"id": "x", "conversations": ["Hi"]}, "message 1 has no text in 'value'"),
        ({"conversations": [{"from": HUMAN, "value": 3}]}, "message 1 has no text in 'value'"),
        (
            {"conversations": [{"from": GPT, "value": "Hi"}]},
            "message 1 is from 'gpt', where 'human' is expected",
        ),
        (
            {"conversations": [{"from": HUMAN, "value": "Hi"}, {"from": HUMAN, "value": "Hi"}]},
            "message 2 is from 'human', where 'gpt' is expected",
        ),
        (
            {"conversations": [{"from": HUMAN, "value": "Hi"}, {"from": "bot", "value": "Hi"}]},
            "message 2 is from 'bot'",
        ),
        ({"conversations": [{"value": "Hi"}]}, "message 1 is from None"),
        (_entry(0, "Hi", "Hello", "And?"), "the last question has no answer"),
        (_entry(0, "Hi", "<image> "), "an <image>, but there is no 'image'"),
        (_entry(0, "Hi", " "), "answer 1 is empty"),
        (_entry(0, "Hi", "Hello", image=["a.png"]), "'image' is ['a.png']; allowed: one file name"),
    ],
)
def test_a_broken_entry_is_named_by_line(folder, entry, words):
    message = _refused(folder, _as_lines([ENTRIES[1], entry]))
    assert "line 2 (entry 2): " in message
    assert words in message
    assert "Fix: correct or remove the entry" in message


def test_a_missing_file_or_folder_is_named(folder):
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        load_llava_json(_config(folder))
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory"):
        load_llava_json(_config(folder, path=str(folder)))
    (folder / "mix.json").write_text(_as_lines(ENTRIES))
    with pytest.raises(ConfigError, match=r"data.image_folder='.*no' does not exist"):
        load_llava_json(_config(folder, image_folder=str(folder / "no")))
    with pytest.raises(ConfigError, match="is a file, not a folder"):
        load_llava_json(_config(folder, image_folder=str(folder / "mix.json")))


@pytest.mark.parametrize("text", ["", "[]", " \n \n", "[ \n ] "])
def test_a_file_without_conversations_is_refused(folder, text):
    assert "holds no conversation" in _refused(folder, text)


def test_an_image_that_cannot_be_decoded_is_named_if_it_is_drawn(folder):
    (folder / "images" / "2.png").write_bytes(b"text")
    with pytest.raises(ConfigError, match=r"images/2.png' cannot be decoded"):
        _load(folder, _as_array(ENTRIES))
    others = [entry for entry in ENTRIES if entry.get("image") != "2.png"]
    assert len(_load(folder, _as_array(others)).conversations) == 3


def test_text_alone_can_be_left_out(folder):
    data = _load(folder, _as_array(ENTRIES))
    assert [item.id for item in data.with_images_only().conversations] == ["e0", "e2", "e3"]
    text_only = _load(folder, _as_array(ENTRIES[1:2]))
    with pytest.raises(ConfigError, match="No conversation of 'mix' has an image"):
        text_only.with_images_only()
