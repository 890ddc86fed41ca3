"""The features of every kind of encoder against those of the vision model itself."""

import copy

import pytest
import torch
from tests.models.encoders import small
from torch import nn
from torch.nn import functional
from transformers import (
    AutoModel,
    ConvNextConfig,
    Dinov2WithRegistersConfig,
    DINOv3ViTConfig,
    SwinConfig,
)

from ablate.models.encoders.check import sequence_config
from ablate.models.encoders.preprocessing import normalisation
from ablate.models.encoders.weights import load_encoder

NAMES = (*small.KINDS, "siglip+dinov2")


def load(config):
    return load_encoder(config, copy.deepcopy(sequence_config(config))).eval()


def levels(n=2, side=small.SIDE):
    """Pixels in 0..1."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, side, side), generator=generator) / 255


def normalised(pixels, kind):
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in normalisation(small.PROCESSORS[kind])
    )
    return (pixels - mean) / std


def vision_model(kind):
    """The whole vision model, built a second time and never saved."""
    whole = small.build(kind).eval()
    inner = {"vit": "vit", "resnet": "resnet", "clip": "vision_model", "siglip": "vision_model"}
    return getattr(whole, inner[kind]) if kind in inner else whole


def stated_features(kind, pixels):
    """What the encoder should read of a model: its hidden state without class token, as a sequence."""
    hidden = vision_model(kind)(pixels, output_hidden_states=True).hidden_states
    if kind == "resnet":
        return hidden[-1].permute(0, 2, 3, 1).flatten(1, 2)
    return hidden[-2][:, small.PREFIX_TOKENS[kind] :]


@pytest.mark.parametrize("kind", small.KINDS)
def test_the_features_are_the_vision_models_own(kind, tmp_path):
    encoder = load(small.encoder(kind, tmp_path))
    pixels = normalised(levels(), kind)
    with torch.no_grad():
        output = encoder(pixels, output_hidden_states=True)
        expected = stated_features(kind, pixels)
    assert expected.shape == (2, 16, small.WIDTHS[kind])
    assert torch.equal(output.last_hidden_state, expected)
    assert torch.equal(output.hidden_states[-1], expected)
    assert len(output.hidden_states) == 1


def test_fused_parts_stand_side_by_side_each_with_its_own_normalisation(tmp_path):
    encoder = load(small.encoder("siglip+dinov2", tmp_path))
    pixels = levels()
    siglip, dinov2 = (normalised(pixels, kind) for kind in ("siglip", "dinov2"))
    assert not torch.allclose(siglip, dinov2, atol=0.1)
    with torch.no_grad():
        features = encoder(siglip).last_hidden_state
        stated = stated_features("siglip", siglip), stated_features("dinov2", dinov2)
    assert features.shape == (2, 16, encoder.config.hidden_size)
    width = small.WIDTHS["siglip"]
    torch.testing.assert_close(features[..., :width], stated[0])
    torch.testing.assert_close(features[..., width:], stated[1], rtol=1e-4, atol=1e-5)


def test_raw_patches_are_the_pixels_row_by_row(tmp_path):
    encoder = load(small.encoder("patches", tmp_path))
    pixels = normalised(levels(), "siglip")
    features = encoder(pixels).last_hidden_state
    for index, (row, column) in enumerate((r, c) for r in range(4) for c in range(4)):
        patch = pixels[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        assert torch.equal(features[:, index], patch.flatten(1))
    assert not list(encoder.parameters())
    assert encoder.layers_to_train == {}


def test_a_patch_that_does_not_divide_the_image_leaves_a_margin():
    config = small.EncoderConfig("patches", (), 30, 8)
    assert load(config)(levels(side=30)).last_hidden_state.shape == (2, 9, 192)
    assert sequence_config(config).n_tokens == 9


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit", "resnet"])
def test_another_image_size_gives_another_grid(kind, tmp_path):
    part = small.save(kind, tmp_path)
    config = small.EncoderConfig("large", (part,), 48, None)
    encoder = load(config)
    with torch.no_grad():
        features = encoder(levels(side=48)).last_hidden_state
    assert features.shape == (2, 36, small.WIDTHS[kind])
    assert encoder.config.n_tokens == 36
    assert encoder.config.patch_size == 8


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_is_the_same(name, tmp_path):
    encoder = load(small.encoder(name, tmp_path / "parts"))
    encoder.save_pretrained(tmp_path / "saved")
    again = AutoModel.from_pretrained(tmp_path / "saved").eval()
    assert type(again) is type(encoder)
    pixels = normalised(levels(), "siglip")
    with torch.no_grad():
        assert torch.equal(again(pixels).last_hidden_state, encoder(pixels).last_hidden_state)
    assert str(tmp_path) not in (tmp_path / "saved" / "config.json").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_layers_to_train_hold_every_weight_and_no_pooler(name, tmp_path):
    encoder = load(small.encoder(name, tmp_path))
    held = [
        p for layer in encoder.layers_to_train.values() for p in layer.parameters(recurse=False)
    ]
    assert {id(p) for p in held} == {id(p) for p in encoder.parameters()}
    assert not [path for path in encoder.layers_to_train if "pooler" in path or "head" in path]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_layer_that_is_read(name, tmp_path):
    encoder = load(small.encoder(name, tmp_path))
    encoder(normalised(levels(), "siglip")).last_hidden_state.square().mean().backward()
    unread = {n for n, p in encoder.named_parameters() if p.grad is None}
    # Behind the last but one block: the last block and the final norm. Only masked training needs a mask token.
    assert all(
        ".2." in n or "post_layernorm" in n or "layernorm." in n or "mask" in n for n in unread
    )
    assert len(unread) < len(list(encoder.parameters())) / 2


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("kind", ["siglip", "dinov2", "vit"])
def test_gradient_checkpointing_changes_no_gradient(kind, tmp_path):
    encoder = load(small.encoder(kind, tmp_path)).train()
    pixels = normalised(levels(), kind)

    def gradients():
        encoder.zero_grad()
        encoder(pixels).last_hidden_state.square().mean().backward()
        return {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}

    plain = gradients()
    encoder.activation_checkpointing_enable({"use_reentrant": False})
    recomputed = gradients()
    assert plain.keys() == recomputed.keys()
    assert all(torch.equal(plain[n], recomputed[n]) for n in plain)


def norms(encoder):
    return [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]


def test_a_frozen_batch_norm_keeps_its_statistics_in_training(tmp_path):
    encoder = load(small.encoder("resnet", tmp_path)).requires_grad_(False)
    pixels = normalised(levels(), "resnet")
    expected = encoder(pixels).last_hidden_state
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    nn.Sequential(encoder).train()
    assert norms(encoder)
    assert not any(norm.training for norm in norms(encoder))
    assert encoder.training
    assert torch.equal(encoder(pixels).last_hidden_state, expected)
    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())


def test_a_trained_batch_norm_moves_its_statistics(tmp_path):
    encoder = load(small.encoder("resnet", tmp_path)).requires_grad_(False)
    trained = norms(encoder)[0]
    trained.requires_grad_(True)
    encoder.train()
    assert [norm.training for norm in norms(encoder)] == [
        norm is trained for norm in norms(encoder)
    ]
    before = trained.running_mean.clone()
    encoder(normalised(levels(), "resnet"))
    assert not torch.equal(trained.running_mean, before)
    encoder.eval()
    assert not any(norm.training for norm in norms(encoder))


def test_dinov2_positions_are_stretched_as_it_does_itself(tmp_path):
    """The model is made for 48 pixels and reads 32: what it reads is not what it would without positions."""
    encoder = load(small.encoder("dinov2", tmp_path))
    positions = encoder.parts[0].embeddings.position_embeddings
    assert positions.shape[1] == 1 + 36
    stretched = functional.interpolate(
        positions[:, 1:].reshape(1, 6, 6, -1).permute(0, 3, 1, 2), size=(4, 4), mode="bicubic"
    )
    pixels = normalised(levels(1), "dinov2")
    embeddings = encoder.parts[0].embeddings
    patches = embeddings.patch_embeddings(pixels)
    expected = patches + stretched.flatten(2).transpose(1, 2)
    torch.testing.assert_close(embeddings(pixels)[:, 1:], expected)


SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32}
OTHERS = {
    "dinov2-registers": (
        Dinov2WithRegistersConfig(**SIZES, patch_size=8, num_register_tokens=4),
        (-2, 5, 16, 16),
    ),
    "dinov3": (
        DINOv3ViTConfig(**SIZES, patch_size=8, num_register_tokens=4, intermediate_size=32),
        (-2, 5, 16, 16),
    ),
    "convnext": (
        ConvNextConfig(num_stages=2, depths=[1, 1], hidden_sizes=[8, 16]),
        (-1, 0, 16, 16),
    ),
    "swin": (
        SwinConfig(
            image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
        ),
        (-1, 0, 16, 16),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_model_of_transformers_takes_one_config_file_and_no_code(name, tmp_path):
    model_config, (layer, prefix_tokens, n_tokens, width) = OTHERS[name]
    torch.manual_seed(0)
    AutoModel.from_config(model_config).save_pretrained(tmp_path / "part")
    small.PROCESSORS["vit"].save_pretrained(tmp_path / "part")
    part = small.EncoderPart(str(tmp_path / "part"), None, layer, prefix_tokens)
    encoder = load(small.EncoderConfig(name, (part,), None, None))
    encoder.save_pretrained(tmp_path / "saved")
    again = AutoModel.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        features = encoder(levels()).last_hidden_state
        assert torch.equal(again(levels()).last_hidden_state, features)
    assert features.shape == (2, n_tokens, width)
    assert features.isfinite().all()
