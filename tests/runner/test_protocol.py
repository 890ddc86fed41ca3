"""The papers' protocol, each of its choices by name, from the command line to the tables."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from safetensors.torch import load_file
from tests.conftest import read_results

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.models.conversation import resolved

ALL_SETS = (
    *("gtsrb", "tsi", "counteranimal", "aircraft", "eurosat"),
    *("dalle", "vsr", "hateful-memes", "mmvp", "visonlyqa"),
)
# Four of the ten are on no hub.
PRESET = (
    "+protocol=lorsu",
    *(f"controls.{name}.path=." for name in ("tsi", "counteranimal", "dalle", "hateful-memes")),
)


def configured(*words):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return read_run_config(compose("config", overrides=list(words)))


@pytest.fixture(scope="module")
def wide_images(tmp_path_factory):
    """Two classes that only the left and right edges of wide images tell apart: a centre crop hides them."""
    folder = tmp_path_factory.mktemp("wide")
    noise = np.random.default_rng(0)
    for label, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        for number in range(12):
            levels = noise.integers(0, 256, (16, 32, 3), dtype=np.uint8)
            levels[:, :8] = levels[:, -8:] = colour
            place = folder / label / f"{number}.png"
            place.parent.mkdir(exist_ok=True)
            Image.fromarray(levels).save(place)
    return folder


def test_the_conversation_is_chosen_by_name():
    human = resolved(configured("model=llava-1.5-7b").model)
    user = resolved(configured("model=llava-1.5-7b", "conversation@model=vicuna-v1").model)
    system = (
        "A chat between a curious {} and an artificial intelligence assistant. The assistant gives "
    )
    system += "helpful, detailed, and polite answers to the {}'s questions. USER: <image>\n{{question}} ASSISTANT:"
    assert human.prompt == system.format("human", "human")
    assert user.prompt == system.format("user", "user")
    assert user.turn == human.turn == "USER: {question} ASSISTANT:"


def test_padding_shows_what_a_crop_hides_and_the_row_says_which(ablate_run, wide_images):
    words = [
        "data=imagefolder",
        f"data.path={wide_images}",
        "method=full",
        "train.epochs=4",
        "train.learning_rate=0.1",
    ]
    for aspect in ("crop", "pad"):
        code, outputs = ablate_run(*words, f"model.image_aspect={aspect}", "name=aspect")
        assert code == 0
    table = read_results(outputs / "aspect").set_index("image_aspect")
    assert set(table.index) == {"crop", "pad"}
    assert table.loc["pad", "accuracy"] > table.loc["crop", "accuracy"]
    # Neither the base model's answers nor the gradients are taken from the other's cache.
    items = {
        aspect: pd.read_parquet(outputs / "aspect" / "runs" / row["run_id"] / "items.parquet")
        for aspect, row in table.iterrows()
    }
    likelihoods = {a: [tuple(o) for o in t["option_logprobs"].dropna()] for a, t in items.items()}
    assert likelihoods["crop"] != likelihoods["pad"]


def test_letters_are_read_from_what_is_written_and_unreadable_answers_counted(ablate_run):
    rows = {}
    for reading in ("first", "strict", "lenient"):
        code, outputs = ablate_run(
            "data.scoring=generate",
            "method=full-l",
            "train.epochs=6",
            "train.learning_rate=0.01",
            f"data.reading={reading}",
            "eval.max_new_tokens=3",
            f"name={reading}",
        )
        assert code == 0
        tasks = pd.read_csv(outputs / reading / "tasks.csv")
        rows[reading] = tasks.set_index("metric")
        run = read_results(outputs / reading).iloc[0]
        assert run["accuracy"] == rows[reading].loc["accuracy", "value"]
        items = pd.read_parquet(outputs / reading / "runs" / run["run_id"] / "items.parquet")
        read = items[items["metric"] == "accuracy"]
        unreadable = rows[reading].loc["unreadable"]
        assert unreadable["value"] == read["prediction"].isna().mean()
        assert np.isnan(unreadable["chance"])
        # What cannot be read is wrong.
        assert (read[read["prediction"].isna()]["score"] == 0).all()
    metrics = ["accuracy", "zero_shot_accuracy", "argmax_accuracy", "unreadable"]
    assert list(rows["strict"].index) == metrics
    # The argmax is the same whatever the text is read by.
    assert len({rows[reading].loc["argmax_accuracy", "value"] for reading in rows}) == 1
    # A random model writes no letters; trained on them it writes little else.
    unreadable = rows["strict"].loc["unreadable"]
    assert unreadable["value_before"] > 0.8 > 0.2 > unreadable["value"]


CLIP_LOSS = ["loss=clip", "train.clip_text=one", "+augment@train.augment=clip", "train.epochs=2"]


@pytest.mark.parametrize("method", ["lorsu", "ewc"])
def test_a_loss_that_draws_gives_the_same_numbers_again(ablate_run, method, monkeypatch):
    words = [*CLIP_LOSS, f"method={method}", "train.drop_last=true", "train.batch_size=8"]
    found = []
    for name in ("first", "cached", "alone"):
        if name == "alone":
            monkeypatch.setattr("ablate.training.importance._held", {})
        # Whatever was drawn before.
        torch.rand(len(found) + 1)
        code, outputs = ablate_run(*words, f"name={name}")
        assert code == 0
        (run,) = (outputs / name / "runs").iterdir()
        found.append(load_file(run / "adapter.safetensors"))
    for other in found[1:]:
        assert all(torch.equal(other[key], tensor) for key, tensor in found[0].items())


def test_each_choice_of_the_losses_is_another_run_with_other_weights(ablate_run):
    choices = {
        "mean": ["loss=clip"],
        "one": ["loss=clip", "train.clip_text=one"],
        "augmented": ["loss=clip", "+augment@train.augment=clip"],
        "dropped": ["loss=clip", "train.drop_last=true", "train.batch_size=20"],
        "test": [],
        "open": ['train.open_question="look: {question}"', "data.sentence='it is {}'"],
        "name": ['train.open_question="look: {question}"'],
        "projector": ["method@projector=lora-p", "projector.rank=2"],
    }
    weights, known = {}, set()
    for name, words in choices.items():
        code, outputs = ablate_run(*words, "name=choices", "seed=0")
        assert code == 0, name
        (run_id,) = set(read_results(outputs / "choices")["run_id"]) - known
        known.add(run_id)
        folder = outputs / "choices" / "runs" / run_id
        weights[name] = load_file(folder / "adapter.safetensors")
        if name == "projector":
            audit = pd.read_csv(folder / "audit.csv").groupby("tower")["trained"].sum()
            assert audit["projector"] == 2 * 128
            assert audit["image encoder"] > 0
    assert len(read_results(outputs / "choices")) == len(choices)
    for one, other in itertools.combinations(choices, 2):
        same = weights[one].keys() == weights[other].keys()
        assert not same or any(
            not torch.equal(weights[one][key], weights[other][key]) for key in weights[one]
        ), (one, other)


def test_sessions_are_those_listed(ablate_run):
    listed = "[[nine,zero,two],[one,three,five,four],[eight,seven,six]]"
    code, outputs = ablate_run("data.sessions=3", f"data.session_classes={listed}")
    assert code == 0
    sessions = pd.read_csv(outputs / "run" / "sessions.csv")
    named = sessions[sessions["after_session"] == 0].set_index("session")["classes"]
    assert list(named) == ["nine, zero, two", "one, three, five, four", "eight, seven, six"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.sessions=2", "data.session_classes=[[zero],[one]]"], "leaves out class 'two'"),
        (["data.sessions=2", "data.session_classes=[[zero],[ones]]"], "Did you mean 'one'?"),
        (["data.shots=500", "data.shots_per=session", "data.sessions=5"], "has only 1"),
        (["train.clip_text=one"], "train.clip_text is given, but belongs to loss=clip"),
        (["+augment@train.augment=clip"], "train.augment is given, but belongs to loss=clip"),
        (['train.open_question="{question}"', "loss=clip"], "belongs to loss=lm"),
        (["train.open_question=what"], "train.open_question is 'what'"),
        (["method@projector=lora"], "does not train the projector alone"),
        (["method@projector=lora-p", "method=lora-f"], "trains encoder, language_model, projector"),
        (["method@projector=lora-p", "loss=clip"], "on which loss=clip does not depend"),
        (["model.image_aspect=pat"], "Did you mean 'pad'?"),
        (
            ["data.reading=loose"],
            "Allowed: 'first', 'strict', 'strict-any-case', 'lenient' or 'brackets'",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(ablate_run, capsys, words, message):
    code, outputs = ablate_run(*words)
    assert code == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not (outputs / "run").exists()


def test_the_preset_is_what_the_papers_do():
    lm = configured(*PRESET, "data=digits")
    assert lm.model.name == "llava-1.5-7b"
    assert "a curious user" in str(lm.model.prompt)
    assert (lm.model.image_aspect, lm.data.scoring, lm.eval.n_options) == ("pad", "generate", 5)
    method, train = lm.method, lm.train
    assert (method.name, method.rank, method.alpha) == ("lorsu", 64, 64)
    assert (method.top_k_heads, method.sparsity) == (2, 0.1)
    assert (train.epochs, train.batch_size, train.learning_rate) == (5, 16, 1e-5)
    assert train.open_question.endswith("with a short answer: {question}")
    assert (train.clip_text, train.augment, train.drop_last) == ("mean", None, False)
    assert "source" not in lm.controls
    clip = configured(*PRESET, "data=digits", "loss=clip").train
    assert (clip.open_question, clip.clip_text, clip.drop_last) == (None, "one", True)
    assert clip.augment.crop_scale == (0.9, 1.0)
    # Each choice can be left out, wherever its word stands.
    without = ["conversation@model=llava-v1", "model.image_aspect=crop", "train.open_question=null"]
    for words in ([*PRESET, *without], [*without, *PRESET]):
        plain = configured(*words)
        assert "a curious human" in str(plain.model.prompt)
        assert (plain.model.image_aspect, plain.train.open_question) == ("crop", None)


@pytest.mark.parametrize(
    ("data", "setting", "shots", "sessions"),
    [
        ("digits", "CL-5", 5, 5),
        ("digits", "CL-50", 50, 5),
        ("vsr", "CL-5", 100, 5),
        ("hateful-memes", "CL-20", 300, 5),
        ("mmvp", "CL-50", 30, 5),
        ("mmvp", "offline", 150, 1),
        ("visonlyqa", "CL-20", 20, 5),
        ("gtsrb", "offline", 50, 1),
    ],
)
def test_a_setting_says_how_many_images_in_how_many_sessions(data, setting, shots, sessions):
    words = ["data=digits", f"data.name={data}", f"protocol.setting={setting}"]
    found = configured(*PRESET, *words).data
    assert (found.shots, found.sessions) == (shots, sessions)


def test_a_set_of_the_protocol_is_no_control_of_itself():
    found = configured(*PRESET, "data=gtsrb").controls
    assert set(found) == set(ALL_SETS) - {"gtsrb"}


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_the_protocol_runs_from_end_to_end(ablate_run, loss):
    words = ["+protocol=lorsu", f"loss={loss}", "train=paper", "data.shots=2", "data.test_items=20"]
    words += [f"~data@controls.{name}" for name in ALL_SETS]
    code, outputs = ablate_run(
        *words, "+data@controls.shapes=shapes", "controls.shapes.test_items=8"
    )
    assert code == 0
    row = read_results(outputs / "run").iloc[0]
    assert (row["status"], row["image_aspect"], row["sessions"]) == ("ok", "pad", 5)
    assert row["protocol"] == "lorsu CL-5, 1 controls"
    tasks = pd.read_csv(outputs / "run" / "tasks.csv").set_index(["kind", "metric"])["value"]
    assert row["accuracy"] == tasks["target", "accuracy"]
    before = pd.read_csv(outputs / "run" / "tasks.csv").set_index(["kind", "metric"])[
        "value_before"
    ]
    change = tasks["control", "accuracy"] - before["control", "accuracy"]
    assert row["control_change"] == pytest.approx(change)


def test_a_setting_that_there_is_not_is_one_line(ablate_run, capsys):
    code, _ = ablate_run(*PRESET, "protocol.setting=CL-10")
    assert code == 2
    assert "protocol.setting is 'CL-10'. Did you mean 'CL-50'?" in capsys.readouterr().err
