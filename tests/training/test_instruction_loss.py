"""The loss on conversations, against transformers' own loss on sequences written out by hand."""

from dataclasses import replace

import pytest
import torch
from hydra import compose, initialize_config_dir
from tests.conftest import in_float64
from tests.training.conversations import CONVERSATIONS, TURN, Squares

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.data.types import Conversation, InstructionData
from ablate.models.compute import choose_compute
from ablate.models.loading import load_model
from ablate.training.instruction_loss import InstructionLoss

pytestmark = pytest.mark.numerical

IMAGE_TOKENS = 16


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["fp32", "fp64"])
def vlm(request):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        model = read_run_config(compose("config")).model
    vlm = load_model(model, choose_compute("cpu", "fp32"))
    return (in_float64(vlm) if request.param == torch.float64 else vlm).requires_grad_(True)


@pytest.fixture
def data():
    return InstructionData("talks", CONVERSATIONS, Squares(), "0")


def plain_loss(vlm, conversations, max_tokens=10_000):
    """Average over answer tokens what LLaVA's own model says to labels, one conversation at a time."""
    tokenizer, total, n_targets = vlm.tokenizer, 0.0, 0
    for item in conversations:
        text = "<s>" if item.image is None else "<s>" + "<image>" * IMAGE_TOKENS + "\n"
        pieces = []
        for number, (question, answer) in enumerate(item.turns):
            frame = TURN if number else "{question}\nanswer:"
            pieces.append((text + frame.replace("{question}", question), False))
            pieces.append((f" {answer}</s>", True))
            text = ""
        ids, labels = [], []
        for piece, is_answer in pieces:
            tokens = tokenizer(piece, add_special_tokens=False)["input_ids"]
            ids += tokens
            labels += tokens if is_answer else [-100] * len(tokens)
        ids, labels = torch.tensor([ids[:max_tokens]]), torch.tensor([labels[:max_tokens]])
        images = {}
        if item.image is not None:
            images["pixel_values"] = vlm.normalise(vlm.resize(Squares().images([item.image])))
        n = int((labels != -100).sum())
        total = total + n * vlm.llava(input_ids=ids, labels=labels, **images).loss
        n_targets += n
    return total / n_targets


def gradients(vlm, loss):
    vlm.zero_grad()
    loss.backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in vlm.llava.named_parameters()
        if parameter.grad is not None
    }


def assert_same(vlm, value, plain):
    assert value.item() == pytest.approx(plain.item(), rel=1e-5)
    ours, theirs = gradients(vlm, value), gradients(vlm, plain)
    assert ours.keys() == theirs.keys()
    assert any("vision_tower" in name for name in ours)
    # Some gradients are zero in exact arithmetic, an encoder's key biases among them: what is left of them is
    # rounding, at the scale of the whole. transformers' cross-entropy is in float32, whatever the weights are.
    whole = max(gradient.abs().max().item() for gradient in theirs.values())
    own, common = (1e-5, 1e-9) if value.dtype == torch.float64 else (1e-3, 1e-5)
    for name, gradient in ours.items():
        scale = theirs[name].abs().max().item()
        assert (gradient - theirs[name]).abs().max().item() <= own * scale + common * whole, name


@pytest.mark.parametrize("rows", [[0], [0, 1], [2, 3], [4, 0, 3, 2, 1]])
def test_value_and_gradient_are_those_of_transformers_own_loss(vlm, data, rows):
    loss = InstructionLoss(vlm, data, 256, TURN)
    assert (loss.n, loss.n_left_out) == (5, 0)
    plain = plain_loss(vlm, [CONVERSATIONS[row] for row in rows])
    assert_same(vlm, loss(vlm, torch.tensor(rows)), plain)


def test_long_conversations_are_cut(vlm, data):
    whole = InstructionLoss(vlm, data, 256, TURN)
    longest = int(whole._lengths.max())
    shortened = InstructionLoss(vlm, data, longest - 1, TURN)
    rows = list(range(5))
    value = shortened(vlm, torch.tensor(rows))
    assert value.item() != pytest.approx(whole(vlm, torch.tensor(rows)).item(), rel=1e-5)
    assert_same(vlm, value, plain_loss(vlm, CONVERSATIONS, longest - 1))


def test_conversations_that_are_cut_before_any_answer_are_left_out(vlm, data):
    loss = InstructionLoss(vlm, data, IMAGE_TOKENS, TURN)
    assert (loss.n, loss.n_left_out) == (2, 3)
    text = [item for item in CONVERSATIONS if item.image is None]
    plain = plain_loss(vlm, text, IMAGE_TOKENS)
    assert loss(vlm, torch.arange(2)).item() == pytest.approx(plain.item(), rel=1e-5)
    with pytest.raises(ConfigError, match=r"No conversation of 'talks'.*an image takes 16.*Raise"):
        InstructionLoss(vlm, data, 3, TURN)


def test_images_are_decoded_for_their_batch_only(vlm, data):
    loss = InstructionLoss(vlm, data, 256, TURN)
    assert data.images.decoded == []
    loss(vlm, torch.tensor([4, 1, 2]))
    loss(vlm, torch.tensor([1, 3]))
    assert data.images.decoded == [[1, 0]]


def test_text_alone_moves_nothing_where_the_language_model_is_frozen(vlm, data):
    loss = InstructionLoss(vlm, data, 256, TURN)
    vlm.requires_grad_(False)
    vlm.llava.model.multi_modal_projector.requires_grad_(True)
    try:
        assert gradients(vlm, loss(vlm, torch.tensor([1, 3]))) == {}
        with_images = InstructionLoss(vlm, data.with_images_only(), 256, TURN)
        assert with_images.n == 3
        moved = gradients(vlm, with_images(vlm, torch.tensor([0])))
        assert {name.split(".")[1] for name in moved} == {"multi_modal_projector"}
        with torch.no_grad():
            assert not loss(vlm, torch.tensor([1])).requires_grad
    finally:
        vlm.requires_grad_(True)


@pytest.mark.parametrize("image", [0, None])
def test_a_text_that_holds_the_image_token_is_refused(vlm, data, image):
    item = Conversation("broken", image, (("what is <image>?", "a token"),))
    with pytest.raises(ConfigError, match=r"conversation 'broken' holds '<image>'"):
        InstructionLoss(vlm, replace(data, conversations=(item,)), 256, TURN)
