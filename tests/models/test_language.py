"""Any causal language model over an encoder: it says what it said, and knows where the image is."""

import pytest
import torch
from PIL import Image
from tests.models.encoders import small
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
)

from ablate.config.errors import ConfigError
from ablate.models.assemble import assemble
from ablate.models.kinds import check_language
from ablate.models.loading import load_model
from ablate.models.saving import save_model

pytestmark = pytest.mark.numerical

QUESTION = "what shape is there?"


def over_patches(config, folder):
    return assemble(small.encoder("patches", folder), config, small.FP32, seed=0)


def logits(vlm):
    image = Image.linear_gradient("L")
    ids = torch.tensor([vlm.prompt_ids(QUESTION)])
    with torch.no_grad():
        return vlm.llava(input_ids=ids, pixel_values=vlm.normalise(vlm.resize([image]))).logits


@pytest.mark.parametrize("tied", [False, True])
def test_the_language_model_says_what_it_said_and_gains_an_image_token(tied, tmp_path):
    config = small.language(tmp_path / "language", tie_word_embeddings=tied)
    causal = AutoModelForCausalLM.from_pretrained(tmp_path / "language").eval()
    vlm = over_patches(config, tmp_path)
    n_words = causal.config.vocab_size
    image_token = vlm.llava.config.image_token_id
    assert vlm.tokenizer.convert_ids_to_tokens([image_token]) == ["<image>"]
    assert image_token == n_words == vlm.llava.config.text_config.vocab_size - 1
    assert vlm.llava.config.tie_word_embeddings is tied
    embeddings = vlm.llava.get_input_embeddings().weight
    assert (vlm.llava.lm_head.weight is embeddings) is tied
    assert torch.allclose(embeddings[-1], embeddings[:-1].mean(dim=0))

    ids = torch.tensor([vlm.prompt_ids(QUESTION, with_image=False)])
    with torch.no_grad():
        said = vlm.llava(input_ids=ids).logits[..., :n_words]
        # The head has a row more, so its product may be added up in another order.
        torch.testing.assert_close(said, causal(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
    folder = tmp_path / "saved"
    save_model(vlm, folder, tmp_path / "partial")
    again = load_model(small.model(llava=str(folder)), small.FP32)
    assert (again.llava.lm_head.weight is again.llava.get_input_embeddings().weight) is tied
    assert torch.equal(logits(again), logits(vlm))


def test_the_language_model_of_a_llava_can_be_taken(tiny_random_vlm, model_folder, tmp_path):
    vlm = assemble(
        small.encoder("resnet", tmp_path), small.model(llava=str(model_folder)), small.FP32, seed=0
    )
    ids = torch.tensor([vlm.prompt_ids(QUESTION, with_image=False)])
    with torch.no_grad():
        expected = tiny_random_vlm.llava(input_ids=ids).logits
        assert torch.equal(vlm.llava(input_ids=ids).logits, expected)
    assert vlm.llava.config.image_token_id == tiny_random_vlm.llava.config.image_token_id
    assert vlm.tokenizer.get_vocab() == tiny_random_vlm.tokenizer.get_vocab()


SIZES = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 32}
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
FAMILIES = {
    "qwen2": Qwen2Config(
        vocab_size=400, intermediate_size=32, num_key_value_heads=2, **SIZES, **IDS
    ),
    "gpt_neox": GPTNeoXConfig(vocab_size=300, intermediate_size=32, **SIZES, **IDS),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_of_language_models(family, tmp_path):
    given = small.language(tmp_path / "language")
    torch.manual_seed(0)
    causal = AutoModelForCausalLM.from_config(FAMILIES[family]).eval()
    causal.save_pretrained(tmp_path / "language")
    vlm = over_patches(given, tmp_path)
    ids = torch.tensor([vlm.prompt_ids("is it red?", with_image=False)]).clamp(max=299)
    with torch.no_grad():
        said = vlm.llava(input_ids=ids).logits[..., : FAMILIES[family].vocab_size]
        torch.testing.assert_close(said, causal(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
    save_model(vlm, tmp_path / "saved", tmp_path / "partial")
    again = load_model(small.model(llava=str(tmp_path / "saved")), small.FP32)
    assert torch.equal(logits(again), logits(vlm))


def test_a_vocabulary_with_room_is_left_as_it_is(tmp_path):
    vlm = over_patches(small.language(tmp_path / "language", vocab_size=400), tmp_path)
    assert vlm.llava.config.text_config.vocab_size == 400
    assert vlm.llava.config.image_token_id == len(vlm.tokenizer) - 1 < 400


def test_shared_embeddings_must_be_where_llava_looks(tmp_path):
    given = small.language(tmp_path / "language")
    config = GPT2Config(vocab_size=300, n_layer=1, n_head=2, n_embd=32, **IDS)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "language")
    with pytest.raises(ConfigError, match=r"GPT2LMHeadModel: it shares its output.*Fix:"):
        over_patches(given, tmp_path)


@pytest.mark.parametrize(
    ("kind", "build", "message"),
    [
        (PhiConfig, PhiForCausalLM, "not linear without a bias"),
        (Gemma2Config, Gemma2ForCausalLM, "changes its logits"),
    ],
)
def test_a_language_model_with_another_output_is_refused(kind, build, message, tmp_path):
    small.language(tmp_path)
    torch.manual_seed(0)
    config = kind(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        initializer_range=3.0,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    build(config).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=rf"{message}.*Fix: model\.language="):
        assemble(
            small.encoder("patches", tmp_path), small.model(language=str(tmp_path)), small.FP32, 0
        )


def test_a_language_model_that_reads_what_comes_later_is_refused(tmp_path):
    given = small.language(tmp_path)
    sizes = {**SIZES, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 32}
    config = Gemma3TextConfig(vocab_size=300, **sizes, **IDS, use_bidirectional_attention=True)
    torch.manual_seed(0)
    config.initializer_range = 1.0
    Gemma3ForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"tokens depend on those that come after.*Fix:"):
        assemble(small.encoder("patches", tmp_path), given, small.FP32, 0)


def test_what_is_no_language_model_is_refused_before_loading(tmp_path):
    small.save("siglip", tmp_path / "siglip")
    given = small.model(language=str(tmp_path / "siglip"))
    with pytest.raises(
        ConfigError, match=r"not a causal language model, but of type 'siglip'.*Fix:"
    ):
        check_language(given)
    with pytest.raises(
        ConfigError, match=r"is only a language model, without an image encoder.*Fix:"
    ):
        load_model(small.model(language=str(tmp_path)), small.FP32)
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        check_language(small.model(language=str(tmp_path / "none")))
