"""Runs on instructions from command to CSV row: the tiny language model under tiny encoders, few steps."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.conftest import OWN_WORDS
from transformers import LlavaForConditionalGeneration

from ablate.cli.run import run
from ablate.evaluation import cache
from ablate.recipes.restore import restore

FEW = ["data.scenes=96", "train.epochs=1", "tasks.tasks.place.items=40"]
SMALL_SUITE = [
    *(f"tasks.tasks.{name}.items=20" for name in ("shape", "colour", "size", "texture", "count")),
    *(
        f"tasks.tasks.words-{name}.items=20"
        for name in ("recall", "position", "count", "neighbour", "number", "odd")
    ),
]
VARYING = [
    "trained_at",
    *("load_seconds", "importance_seconds", "train_seconds", "eval_seconds", "peak_memory_bytes"),
    *("started_at", "finished_at"),
]


@pytest.fixture
def instruct(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ablate"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def call(*words):
        return run([*words, *FEW, *SMALL_SUITE, f"output_dir={tmp_path}"]), tmp_path

    return call


def results(folder):
    return pd.read_csv(folder / "results.csv", keep_default_na=False, na_values=[""])


def test_an_encoder_ablation_fills_scores_and_tasks(instruct):
    code, outputs = instruct(
        "+ablation=encoder", "ablation.values=[tiny-siglip,tiny-resnet,tiny-patches]", "seeds=[0]"
    )
    assert code == 0
    table = results(outputs / "encoder")
    assert set(table["encoder"]) == {"tiny-siglip", "tiny-resnet", "tiny-patches"}
    assert table["encoder_frozen"].all()
    assert (table["effective_parameters"] == table["trainable_parameters"]).all()
    assert table["accuracy"].isna().all()
    assert table["clip_effective_parameters"].isna().all()
    tasks = pd.read_csv(outputs / "encoder" / "tasks.csv")
    assert (tasks.groupby("run_id")["kind"].value_counts() >= 5).all()
    assert tasks["value"].between(0, 1).all()
    assert tasks["value_before"].isna().all()
    decisions = pd.read_csv(outputs / "encoder" / "stable_tasks.csv")
    assert set(decisions["task"]) == set(tasks["task"])
    items = pd.read_parquet(outputs / "encoder" / "runs" / table["run_id"][0] / "items.parquet")
    first = tasks[tasks["run_id"] == table["run_id"][0]]
    for task in first.itertuples():
        assert items[items["task"] == task.task]["score"].mean() == pytest.approx(task.value)


@pytest.mark.parametrize("method", ["frozen", "full", "lora", "lorsu"])
def test_a_run_is_the_same_twice_and_comes_back_from_its_adapter(instruct, method):
    words = [
        "+ablation=freeze",
        f"ablation.values=[{method}]",
        f"ablation.baseline={method}",
        "seeds=[3]",
    ]
    for name in ("first", "second"):
        assert instruct(*words, f"name={name}")[0] == 0
    _, outputs = instruct(*words, "name=saved", "save_model=true")
    first, second = (results(outputs / name).drop(columns=VARYING) for name in ("first", "second"))
    pd.testing.assert_frame_equal(first, second)
    assert list(first["encoder_frozen"]) == [method == "frozen"]
    folder = outputs / "saved" / "runs" / first["run_id"][0]
    assert any(name.startswith("projector.") for name in load_file(folder / "adapter.safetensors"))
    restored = restore(folder, device="cpu")
    saved = LlavaForConditionalGeneration.from_pretrained(folder / "model")
    torch.manual_seed(0)
    n_tokens = restored.n_image_tokens
    image_id = restored.llava.config.image_token_id
    inputs = {
        "input_ids": torch.tensor([[1, *[image_id] * n_tokens, 40, 41, 42]]),
        "pixel_values": torch.randn(1, 3, 32, 32),
        "attention_mask": torch.ones(1, n_tokens + 4, dtype=torch.long),
    }
    with torch.no_grad():
        torch.testing.assert_close(saved(**inputs).logits, restored.llava(**inputs).logits)


def test_a_saved_model_without_a_clip_can_be_adapted(instruct, capsys):
    point = ["ablation.values=[tiny-dino-siglip]", "ablation.baseline=tiny-dino-siglip"]
    _, outputs = instruct("+ablation=encoder", *point, "seeds=[0]", "save_model=true")
    folder = outputs / "encoder" / "runs" / results(outputs / "encoder")["run_id"][0] / "model"
    few = ["data.shots=2", "data.test_items=16", "controls.source.test_items=16", "train.epochs=1"]
    words = [*OWN_WORDS, f"model.llava={folder}", "method=layernorm", "name=again"]
    words.append(f"output_dir={outputs}")
    assert run([*words, *few, "model.clip=tiny:clip"]) == 2
    assert "model_type is ablate_encoder and clip_vision_model" in capsys.readouterr().err
    assert run([*words, *few, "loss=clip"]) == 2
    assert "has no CLIP; allowed: lm" in capsys.readouterr().err
    assert run([*words, *few]) == 0
    again = results(outputs / "again").iloc[0]
    assert again["encoder"] == "siglip+dinov2"
    assert again["trainable_parameters"] > 0
    assert np.isnan(again["clip_effective_parameters"])
    tasks = pd.read_csv(outputs / "again" / "tasks.csv")
    assert list(tasks["metric"]) == ["accuracy", "accuracy"]


def test_a_frozen_language_model_is_evaluated_on_text_tasks_once(instruct, monkeypatch):
    words = [
        "+ablation=encoder",
        "ablation.values=[tiny-siglip,tiny-patches]",
        "method@language=frozen",
    ]
    _, outputs = instruct(*words, "seeds=[0]")
    tasks = pd.read_csv(outputs / "encoder" / "tasks.csv")
    text = tasks[tasks["kind"] == "text"]
    assert (text.groupby("task")["value"].nunique() == 1).all()
    # Another process would find the answers on disk: no text task is evaluated again.
    monkeypatch.setattr(cache, "_held", {})
    cached = sorted((outputs / ".cache").glob("answers-*.json"))
    assert len(cached) == text["task"].nunique()
    before = [path.stat().st_mtime_ns for path in cached]
    instruct(*words, "seeds=[1]")
    assert [path.stat().st_mtime_ns for path in cached] == before
    # A damaged entry is noticed and evaluated again.
    monkeypatch.setattr(cache, "_held", {})
    cached[0].write_text(cached[0].read_text()[:-20])
    assert instruct(*words, "seeds=[2]")[0] == 0
    assert cached[0].stat().st_mtime_ns != before[0]
    again = pd.read_csv(outputs / "encoder" / "tasks.csv")
    assert (again[again["kind"] == "text"].groupby("task")["value"].nunique() == 1).all()


BAD = {
    "needs one stack of attention blocks": ["encoder=tiny-resnet", "method=lorsu"],
    "nothing to train": ["encoder=tiny-patches", "method=full"],
    "has 2": ["encoder=tiny-dino-siglip", "method=lorsu"],
    "Did you mean 'tiny-siglip'": ["encoder=tiny-sigli"],
    "trains more than the image encoder": ["method=lora-f"],
    "trains other parts": ["method@language=lora"],
    "language is null": ["~method@language"],
    "no classes to match": ["loss=clip"],
    "encoder of 'tiny-resnet' has no LayerNorm": ["encoder=tiny-resnet", "method=layernorm"],
    "there is no linear layer": ["encoder=tiny-resnet", "method=lora"],
    "Did you mean 'o_proj'": ["encoder=tiny-vit", "method=lora"],
    "has 4 heads": ["method=lorsu", "method.top_k_heads=5"],
    "no image encoder of its own": ["~encoder"],
    "leaves no conversation of 'shapes-instruct' an answer": ["data.max_tokens=18"],
}


@pytest.mark.parametrize(("words", "line"), [(words, line) for line, words in BAD.items()])
def test_bad_input_is_one_line_before_any_model(instruct, capsys, words, line):
    code, outputs = instruct(
        "+ablation=encoder",
        "ablation.key=train.learning_rate",
        "ablation.values=[0.001]",
        *["ablation.baseline=0.001", "seeds=null"],
        *words,
    )
    error = capsys.readouterr().err.strip()
    assert (code, line in error) == (2, True), error
    assert "\n" not in error
    assert not outputs.exists() or not any(outputs.iterdir())


@pytest.mark.usefixtures("instruct")
def test_instructions_need_a_suite(capsys, tmp_path):
    assert run(["+ablation=encoder", "~tasks", f"output_dir={tmp_path}"]) == 2
    assert "Fix: tasks=tiny" in capsys.readouterr().err


@pytest.mark.usefixtures("instruct")
def test_an_encoder_needs_instructions(capsys, tmp_path):
    assert run(["encoder=tiny-siglip", f"output_dir={tmp_path}"]) == 2
    assert "Fix: data=shapes-instruct" in capsys.readouterr().err


@pytest.fixture
def conversations(tmp_path):
    """Six entries in the format of LLaVA-Instruct, one of them without an image."""
    folder = tmp_path / "images"
    folder.mkdir()
    entries = []
    for number in range(5):
        colour = (40 * number, 90, 200 - 30 * number)
        Image.new("RGB", (40, 30), colour).save(folder / f"{number}.png")
        turns = [("human", "<image>\nwhat colour is it?"), ("gpt", "blue")]
        turns += [("human", "what shape is there?"), ("gpt", "square")]
        entries.append({"id": str(number), "image": f"{number}.png", "conversations": turns})
    entries.append({"id": "5", "conversations": [("human", "say red"), ("gpt", "red")]})
    for entry in entries:
        entry["conversations"] = [{"from": f, "value": v} for f, v in entry["conversations"]]
    file = tmp_path / "instruct.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return file, folder


@pytest.mark.usefixtures("instruct")
def test_llava_instruct_data_with_lora_on_the_language_model(conversations, tmp_path):
    file, folder = conversations
    words = ["+ablation=encoder", "ablation.values=[tiny-resnet]", "ablation.baseline=tiny-resnet"]
    data = ["data=llava-instruct", f"data.path={file}", f"data.image_folder={folder}"]
    recipe = ["method=full", "method@language=lora-l", "train.batch_size=3", "seeds=[0]"]
    assert run([*words, *data, *recipe, *SMALL_SUITE, f"output_dir={tmp_path / 'out'}"]) == 0
    table = results(tmp_path / "out" / "encoder")
    assert list(table["encoder_frozen"]) == [False]
    folder = tmp_path / "out" / "encoder" / "runs" / table["run_id"][0]
    update = load_file(folder / "adapter.safetensors")
    assert any("running_mean" in name for name in update)
    assert any("lora_A" in name for name in update)


@pytest.mark.usefixtures("instruct")
@pytest.mark.parametrize("damage", ["broken line", "missing image"])
def test_bad_instructions_are_named_by_line(conversations, capsys, tmp_path, damage):
    file, folder = conversations
    if damage == "broken line":
        lines = file.read_text().splitlines()
        file.write_text("\n".join([*lines[:2], lines[2][:-5], *lines[3:]]))
    else:
        (folder / "2.png").unlink()
    data = ["data=llava-instruct", f"data.path={file}", f"data.image_folder={folder}"]
    point = ["ablation.values=[tiny-resnet]", "ablation.baseline=tiny-resnet", "seeds=[0]"]
    assert run(["+ablation=encoder", *point, *data, f"output_dir={tmp_path / 'out'}"]) == 2
    error = capsys.readouterr().err.strip()
    assert "line 3" in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()
