import pytest
import torch
from PIL import Image

pytestmark = pytest.mark.numerical


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(3)
    sizes = [(16, 16), (40, 20), (9, 31)]
    return [
        Image.fromarray(
            torch.randint(0, 256, (h, w, 3), dtype=torch.uint8, generator=generator).numpy()
        )
        for w, h in sizes
    ]


def test_resize_and_normalise_are_the_image_processor_in_two_steps(tiny_random_vlm, images):
    pixels = tiny_random_vlm.resize(images)
    assert pixels.dtype == torch.uint8
    expected = tiny_random_vlm.image_processor(images, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(tiny_random_vlm.normalise(pixels), expected, rtol=1e-5, atol=1e-5)


def test_both_models_share_one_image_encoder(tiny_random_vlm):
    assert tiny_random_vlm.clip.vision_model is tiny_random_vlm.vision_tower


def test_image_tokens_are_what_llava_itself_reads(tiny_random_vlm, images):
    vlm = tiny_random_vlm
    pixel_values = vlm.normalise(vlm.resize(images))
    ids = torch.tensor([vlm.prompt_ids("what?")] * len(images))
    with torch.no_grad():
        tokens = vlm.image_tokens(pixel_values)
        hidden = vlm.llava(input_ids=ids, pixel_values=pixel_values).image_hidden_states
    assert tokens.shape == (len(images), vlm.n_image_tokens, 32)
    assert torch.equal(tokens.flatten(0, 1), hidden)


def test_the_strategy_full_adds_the_class_token(tiny_random_vlm, images):
    vlm = tiny_random_vlm
    vlm.llava.config.vision_feature_select_strategy = "full"
    with torch.no_grad():
        tokens = vlm.image_tokens(vlm.normalise(vlm.resize(images)))
    assert tokens.shape[1] == vlm.n_image_tokens == 5


def test_clip_features_are_clips_own(tiny_random_vlm, images):
    vlm = tiny_random_vlm
    texts = ["a red circle", "what shape is there?"]
    pixel_values = vlm.normalise(vlm.resize(images))
    with torch.no_grad():
        expected = vlm.clip(
            pixel_values=pixel_values,
            **vlm.clip_tokenizer(texts, padding=True, return_tensors="pt"),
        )
        torch.testing.assert_close(vlm.clip_image_features(pixel_values), expected.image_embeds)
        torch.testing.assert_close(vlm.clip_text_features(texts), expected.text_embeds)


def test_prompt_ids_hold_one_id_per_image_token(tiny_random_vlm):
    vlm = tiny_random_vlm
    with_image = vlm.tokenizer.decode(vlm.prompt_ids("what {is} it?"))
    assert with_image == "<s>USER: <image><image><image><image>\nwhat {is} it? ASSISTANT:"
    text_only = vlm.tokenizer.decode(vlm.prompt_ids("what?", with_image=False))
    assert text_only == "<s>USER: what? ASSISTANT:"


@pytest.mark.parametrize("with_image", [True, False])
def test_answer_ids_continue_the_prompt(tiny_random_vlm, with_image):
    vlm = tiny_random_vlm
    ids = vlm.answer_ids("what?", "a zebra", with_image)
    assert vlm.tokenizer.decode(ids) == " a zebra"
    assert vlm.tokenizer.eos_token_id not in ids
