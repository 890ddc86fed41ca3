"""The shipped tiny models: whole, small, and with a gap that adaptation can close."""

import hashlib
import json

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torch.nn import functional
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
)

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import evaluation_of
from ablate.evaluation.tasks.classification import ClassificationTask
from ablate.models.check import check_parts
from ablate.models.compute import choose_compute
from ablate.models.files import SHIPPED_FOLDER
from ablate.models.loading import load_model
from ablate.recipes.data import load_data
from ablate.world.rendering import render
from ablate.world.scenes import SHAPES, sample_scenes
from ablate.world.topics import TOPICS
from ablate.world.words import word_items

N_ITEMS = 200
ENCODERS = ("clip", "dinov2", "resnet", "siglip", "vit")


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
    task = ClassificationTask(load_data(config), config, kind, run.eval, has_clip=True)
    task.evaluate(vlm, run.eval, progress := Progress())
    answers = progress.answers()
    return {row.metric: row for row in evaluation_of(task, answers, answers).rows}


def test_the_source_is_known_and_the_target_is_not(run, vlm):
    source = accuracies(run, vlm, run.controls["source"], "control")
    target = accuracies(run, vlm, run.data, "target")
    assert source["accuracy"].n == target["accuracy"].n == N_ITEMS
    assert source["accuracy"].value >= 0.90
    assert target["accuracy"].value <= source["accuracy"].value - 0.25
    assert target["accuracy"].value >= target["accuracy"].chance + 3 * target["accuracy"].stderr
    assert source["zero_shot_accuracy"].value >= 0.90


def test_a_share_of_the_items_asks_for_every_class(run):
    task = ClassificationTask(load_data(run.data), run.data, "target", run.eval, has_clip=True)
    assert set(task.labels) == set(range(8))


def test_weights_are_safetensors_small_and_whole(run):
    check_parts(run.model, None)
    files = [file for file in SHIPPED_FOLDER.rglob("*") if file.is_file()]
    size = {file.relative_to(SHIPPED_FOLDER).parts[0]: 0 for file in files}
    for file in files:
        size[file.relative_to(SHIPPED_FOLDER).parts[0]] += file.stat().st_size
    assert size["llava"] + size["clip"] <= 10e6
    assert sum(size.values()) <= 25e6
    assert {file.suffix for file in files} <= {".json", ".safetensors"}


def test_every_weights_file_has_its_hash():
    expected = json.loads((SHIPPED_FOLDER / "sha256.json").read_text())
    given = {
        file.relative_to(SHIPPED_FOLDER).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in SHIPPED_FOLDER.rglob("*.safetensors")
    }
    assert given == expected
    assert len(given) == 3 + len(ENCODERS)


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


def load_encoder(name):
    folder = SHIPPED_FOLDER / "encoders" / name
    encoder = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    encoder = getattr(encoder, "vision_model", encoder)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    return encoder, processor


def patches(states):
    """`[n, 16, width]`, without a class token."""
    states = states.flatten(2).mT if states.ndim == 4 else states
    return states[:, -16:]


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_are_alike_and_keep_every_pixel(name):
    encoder, processor = load_encoder(name)
    assert type(processor).__name__.endswith("Pil")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    inputs = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    expected = (torch.from_numpy(pixels).permute(2, 0, 1) / 255 - 0.5) / 0.25
    torch.testing.assert_close(inputs[0], expected)
    with torch.no_grad():
        assert patches(encoder(inputs).last_hidden_state).shape == (1, 16, 128)
    assert 0.6e6 < sum(value.numel() for value in encoder.parameters()) < 1.0e6


def named_shapes(quadrants, scenes):
    """Fit a ridge regression on half of the objects; return its accuracy on the other half."""
    told = quadrants[torch.from_numpy(scenes.present)].double()
    told = (told - told.mean(0)) / (told.std(0) + 1e-6)
    shapes = torch.from_numpy(scenes.shape[scenes.present])
    half, width = len(told) // 2, told.shape[1]
    gram = told[:half].T @ told[:half] + 0.01 * half * torch.eye(width, dtype=torch.float64)
    targets = functional.one_hot(shapes[:half], len(SHAPES)).double() - 1 / len(SHAPES)
    guessed = told[half:] @ torch.linalg.solve(gram, told[:half].T @ targets)
    return float((guessed.argmax(1) == shapes[half:]).double().mean())


def test_siglip_knows_shapes_that_pixels_do_not_tell():
    indices = np.arange(1024)
    scenes = sample_scenes("development", indices, np.full_like(indices, 2))
    pixels = torch.from_numpy(render(scenes, "textured")).permute(0, 3, 1, 2).float() / 255
    encoder, _ = load_encoder("siglip")
    with torch.no_grad():
        states = patches(encoder((pixels - 0.5) / 0.25).last_hidden_state)
    raw = functional.unfold(pixels, 8, stride=8).mT
    known, guessed = (
        named_shapes(each.view(1024, 2, 2, 2, 2, -1).mean((2, 4)).flatten(1, 2), scenes)
        for each in (states, raw)
    )
    assert known >= guessed + 0.1


@torch.no_grad()
def word_accuracy(model, tokenizer, topic, n):
    """Share of items whose correct option is the likeliest answer."""
    n_right = 0
    for item in word_items(topic, "development", range(n)):
        prompt = tokenizer(f"{item.text}\nanswer:")["input_ids"]
        answers = tokenizer([f" {word}" for word in item.options], add_special_tokens=False)
        rows = torch.tensor([prompt + answer for answer in answers["input_ids"]])
        scores = model(input_ids=rows).logits[:, len(prompt) - 1 : -1].log_softmax(-1)
        scores = scores.gather(-1, rows[:, len(prompt) :, None]).sum(dim=(1, 2))
        n_right += item.options[int(scores.argmax())] == item.answer
    return n_right / n


def test_the_language_model_answers_words_it_never_saw_together():
    folder = SHIPPED_FOLDER / "language"
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    accuracies = {topic: word_accuracy(model, tokenizer, topic, 150) for topic in TOPICS}
    assert min(accuracies.values()) > 0.9, accuracies


def test_the_language_model_reads_the_tokens_of_the_tiny_llava():
    folders = (SHIPPED_FOLDER / "language", SHIPPED_FOLDER / "llava")
    one, other = (AutoTokenizer.from_pretrained(folder).get_vocab() for folder in folders)
    assert one == other
