"""A LLaVA from parts: what it is made of, what it says, and what is left of it on disk."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.models.encoders import small
from transformers import AutoProcessor, LlavaForConditionalGeneration

from ablate.config.errors import ConfigError
from ablate.config.schema.encoders import EncoderConfig
from ablate.models.assemble import assemble
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.models.saving import save_model

NAMES = (*small.KINDS, "siglip+dinov2", "patches")
QUESTION = "what shape is there?"


@pytest.fixture
def language(tmp_path):
    return small.language(tmp_path / "language")


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(3)
    return [
        Image.fromarray(
            torch.randint(0, 256, (h, w, 3), dtype=torch.uint8, generator=generator).numpy()
        )
        for w, h in [(32, 32), (40, 20)]
    ]


def inputs(vlm, images):
    ids = torch.tensor([vlm.prompt_ids(QUESTION)] * len(images))
    return {"input_ids": ids, "pixel_values": vlm.normalise(vlm.resize(images))}


def logits(vlm, images):
    with torch.no_grad():
        return vlm.llava(**inputs(vlm, images)).logits


@pytest.mark.parametrize("name", NAMES)
def test_any_encoder_goes_under_any_language_model(name, language, images, tmp_path):
    vlm = assemble(small.encoder(name, tmp_path), language, small.FP32, seed=0)
    given = inputs(vlm, images)
    with torch.no_grad():
        tokens = vlm.image_tokens(given["pixel_values"])
        hidden = vlm.llava(**given).image_hidden_states
    assert tokens.shape == (2, vlm.n_image_tokens, 32) == (2, 16, 32)
    assert torch.equal(tokens.flatten(0, 1), hidden)
    assert not torch.allclose(tokens[0], tokens[1])
    assert vlm.patch_size_px == 8
    assert vlm.llava.config.image_seq_length == 16
    assert not any(p.requires_grad for p in vlm.parameters())
    assert not any(p.is_meta for p in [*vlm.parameters(), *vlm.buffers()])
    assert not any(module.training for module in vlm.modules())


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_the_same(name, language, images, tmp_path):
    vlm = assemble(small.encoder(name, tmp_path), language, small.FP32, seed=0)
    expected = logits(vlm, images)
    folder = tmp_path / "saved"
    save_model(vlm, folder, tmp_path / "partial")
    assert not (folder / "clip").exists()
    assert str(tmp_path) not in "".join(file.read_text() for file in folder.glob("*.json"))

    llava = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        assert torch.equal(llava(**inputs(vlm, images)).logits, expected)
    assert torch.equal(
        logits(load_model(small.model(llava=str(folder)), small.FP32), images), expected
    )

    prompt = f"USER: <image>\n{QUESTION} ASSISTANT:"
    processor = AutoProcessor.from_pretrained(folder, backend="pil")
    batch = processor(text=[prompt] * 2, images=images, return_tensors="pt")
    assert torch.equal(batch["input_ids"], inputs(vlm, images)["input_ids"])
    with torch.no_grad():
        torch.testing.assert_close(llava(**batch).logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["siglip+dinov2", "resnet", "patches"])
def test_one_step_trains_every_part_and_it_generates(name, language, images, tmp_path):
    vlm = assemble(small.encoder(name, tmp_path), language, small.FP32, seed=0)
    vlm.requires_grad_(True).train()
    given = inputs(vlm, images)
    parts = (
        vlm.vision_tower,
        vlm.llava.model.multi_modal_projector,
        vlm.llava.model.language_model,
    )
    before = [[p.detach().clone() for p in part.parameters()] for part in parts]
    vlm.llava(**given, labels=given["input_ids"]).loss.backward()
    torch.optim.AdamW(vlm.parameters(), lr=1e-2).step()
    for part, old in zip(parts, before, strict=True):
        moved = [not torch.equal(p, o) for p, o in zip(part.parameters(), old, strict=True)]
        assert any(moved) or not moved
    vlm.eval()
    answer = vlm.llava.generate(**inputs(vlm, images), max_new_tokens=3, do_sample=False)
    assert answer.shape[0] == 2


def test_the_seed_is_that_of_the_projector_alone(language, tmp_path):
    config = small.encoder("siglip", tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (assemble(config, language, small.FP32, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected), "torch's own generator is left as it was"
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name
        if "multi_modal_projector" in name:
            assert not torch.equal(parameter, other.get_parameter(name)), name
        else:
            assert torch.equal(parameter, other.get_parameter(name)), name


@pytest.mark.parametrize("name", ["patches", "siglip"])
def test_wide_features_do_not_arrive_larger(name, language, tmp_path):
    vlm = assemble(small.encoder(name, tmp_path), language, small.FP32, seed=0)
    layer = vlm.llava.model.multi_modal_projector.linear_1
    bound = layer.in_features**-0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_half_precision_is_for_the_language_model_alone(language, tmp_path):
    bf16 = Compute(torch.device("cpu"), "bf16")
    vlm = assemble(small.encoder("resnet", tmp_path), language, bf16, seed=0)
    tower, projector = vlm.vision_tower, vlm.llava.model.multi_modal_projector
    kept = [*tower.parameters(), *projector.parameters()]
    kept += [buffer for buffer in tower.buffers() if buffer.is_floating_point()]
    assert {tensor.dtype for tensor in kept} == {torch.float32}
    assert {p.dtype for p in vlm.llava.model.language_model.parameters()} == {torch.bfloat16}


def test_there_is_no_clip_to_ask(language, images, tmp_path):
    vlm = assemble(small.encoder("siglip", tmp_path), language, small.FP32, seed=0)
    assert vlm.clip is None
    pixels = vlm.normalise(vlm.resize(images))
    for ask in (
        lambda: vlm.clip_image_features(pixels),
        lambda: vlm.clip_text_features(["a red circle"]),
        lambda: vlm.clip_scale,
    ):
        with pytest.raises(RuntimeError, match="no CLIP around its image encoder"):
            ask()


@pytest.mark.parametrize(("name", "n_blocks"), [("siglip", 2), ("vit", 2), ("clip", 2)])
def test_blocks_that_are_read(name, n_blocks, language, tmp_path):
    vlm = assemble(small.encoder(name, tmp_path), language, small.FP32, seed=0)
    assert vlm.n_blocks_read == n_blocks


@pytest.mark.parametrize(("name", "n"), [("resnet", 0), ("patches", 0), ("siglip+dinov2", 2)])
def test_blocks_need_one_stack(name, n, language, tmp_path):
    vlm = assemble(small.encoder(name, tmp_path), language, small.FP32, seed=0)
    with pytest.raises(ConfigError, match=rf"has {n} stacks of attention blocks.*Fix:"):
        _ = vlm.n_blocks_read


def test_a_file_without_the_encoders_weights_is_refused(language, tmp_path):
    part = small.save("siglip", tmp_path / "siglip")
    file = tmp_path / "siglip" / "model.safetensors"
    tensors = load_file(file)
    missing = next(name for name in tensors if "vision_model" in name and "fc1" in name)
    save_file({n: t for n, t in tensors.items() if n != missing}, file, {"format": "pt"})
    with pytest.raises(
        ConfigError, match=r"'encoder\.layers\.\d\.mlp\.fc1\.\w+' is missing\. Fix:"
    ):
        assemble(EncoderConfig("siglip", (part,), None, None), language, small.FP32, seed=0)


def test_a_config_without_a_path(language, tmp_path):
    vlm = assemble(small.encoder("siglip+dinov2", tmp_path), language, small.FP32, seed=0)
    assert str(tmp_path) not in json.dumps(vlm.llava.config.vision_config.to_dict())
