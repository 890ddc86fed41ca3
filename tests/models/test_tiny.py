"""The shipped tiny model: whole, small, and with a gap that adaptation can close."""

import json

import pytest
import torch
from hydra import compose, initialize_config_dir
from transformers import LlavaForConditionalGeneration

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.data.load import load_data
from ablate.models.compute import choose_compute
from ablate.models.files import SHIPPED_FOLDER, check_weights
from ablate.models.loading import load_model
from ablate.runner.evaluate import evaluate, evaluation_set, task_results

N_ITEMS = 200


@pytest.fixture(scope="module")
def run():
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        draws = ["data.draw=development", "controls.source.draw=development"]
        items = [f"data.test_items={N_ITEMS}", f"controls.source.test_items={N_ITEMS}"]
        return read_run_config(compose("config", overrides=[*draws, *items]))


@pytest.fixture(scope="module")
def vlm(run):
    return load_model(run.model, choose_compute("cpu", "fp32"))


def accuracies(run, vlm, config, kind):
    asked = evaluation_set(load_data(config), config, kind, run.eval, vlm)
    outcome = evaluate(vlm, asked, run.eval, lambda _: None)
    return {task.metric: task for task in task_results(asked, outcome, outcome)}


def test_the_source_is_known_and_the_target_is_not(run, vlm):
    source = accuracies(run, vlm, run.controls["source"], "control")
    target = accuracies(run, vlm, run.data, "target")
    assert source["accuracy"].n == target["accuracy"].n == N_ITEMS
    assert source["accuracy"].value >= 0.90
    assert target["accuracy"].value <= source["accuracy"].value - 0.25
    assert target["accuracy"].value >= target["accuracy"].chance + 3 * target["accuracy"].stderr
    assert source["zero_shot_accuracy"].value >= 0.90


def test_a_share_of_the_items_asks_for_every_class(run, vlm):
    asked = evaluation_set(load_data(run.data), run.data, "target", run.eval, vlm)
    assert set(asked.images.labels.tolist()) == set(range(8))


def test_weights_are_safetensors_small_and_whole(run):
    check_weights(run.model)
    files = [file for file in SHIPPED_FOLDER.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 10e6
    assert {file.suffix for file in files} <= {".json", ".safetensors"}
    assert len(json.loads((SHIPPED_FOLDER / "sha256.json").read_text())) == 2


def test_the_tower_is_the_one_that_is_documented(vlm):
    vision = vlm.llava.config.vision_config
    sizes = (vision.hidden_size, vision.num_hidden_layers, vision.num_attention_heads)
    assert sizes == (256, 4, 8)
    assert (vision.image_size, vision.patch_size) == (32, 8)
    assert vlm.clip.vision_model is vlm.llava.model.vision_tower


def test_llava_loads_without_ablate(vlm):
    llava = LlavaForConditionalGeneration.from_pretrained(
        SHIPPED_FOLDER / "llava", dtype=torch.float32
    )
    weights = dict(vlm.llava.named_parameters())
    for name, parameter in llava.named_parameters():
        assert torch.equal(parameter, weights[name]), name


@pytest.mark.parametrize("text", ["star", "Ankle boot", "größe", "犬", "🦜", "a\tb", "T-shirt/top"])
def test_the_tokenizer_takes_any_class_name(vlm, text):
    ids = vlm.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert vlm.tokenizer.decode(ids) == text
