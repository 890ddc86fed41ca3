"""What training a method costs, counted on a model without weights: nothing is loaded or allocated."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ablate.config.schema import LossName
from ablate.methods.base import Method, Session
from ablate.methods.peft_types import first_line, needs_content
from ablate.models.encoders.preprocessing import image_side
from ablate.models.vlm import VisionLanguageModel

_GRADIENT_BYTES = 4  # float32, as everything that is trained
_ADAM_BYTES = 8  # two moments


@dataclass(frozen=True)
class Batch:
    """The shape of one forward pass in training.

    Attributes:
        n_images: Images, one for each conversation.
        n_tokens: Tokens of the longest conversation, image tokens included; the others are padded. `lm` only.
        n_answer_tokens: Answer tokens of all conversations together: they alone pass through the vocabulary. `lm` only.
    """

    n_images: int
    n_tokens: int
    n_answer_tokens: int


@dataclass(frozen=True)
class Cost:
    """What training takes.

    Left out are activations, which depend on the attention's kernel and on checkpointing; what methods remember of the
    weights (EWC two numbers for each trained one, AdaLoRA three); and the passes that rank weights before training.

    Attributes:
        trained_scalars: Parameters that require a gradient.
        weight_bytes: Parameters and buffers of the whole model with its adapter, by their types.
        gradient_bytes: Gradients of what is trained, float32.
        optimizer_bytes: Adam's two moments of what is trained, float32.
        step_flops: Floating-point operations of matrix products and convolutions in one training step, a
            multiplication and an addition being two: forward, and backward as far down as something is trained. A
            method that trains nothing makes no step.
    """

    trained_scalars: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    step_flops: int

    @property
    def total_bytes(self) -> int:
        """Weights, gradients and moments together."""
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes


def cost(method: Method, vlm: VisionLanguageModel, loss: LossName, batch: Batch) -> Cost:
    """Count what training a method takes.

    Args:
        method: The method, attached to nothing; built for this alone.
        vlm: The model, such as `ablate.models.skeleton.vlm_skeleton` gives it; it is left as it is.
        loss: What is trained on.
        batch: What one step reads.

    Raises:
        NotImplementedError: If a tuner of peft has to look into weights, such as to decompose them.
    """
    try:
        return _cost(method, without_content(vlm), loss, batch)
    except RuntimeError as error:
        if not needs_content(error):
            raise
        raise NotImplementedError(
            f"what {type(method).__name__} costs is not known without weights: {first_line(error)}"
        ) from error


def _cost(method: Method, vlm: VisionLanguageModel, loss: LossName, batch: Batch) -> Cost:
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        method.make_trainable(vlm, Session.without_data(seed=0))
    trained = sum(p.numel() for p in vlm.parameters() if p.requires_grad)
    weights = [*vlm.parameters(), *vlm.buffers()]
    return Cost(
        trained_scalars=trained,
        weight_bytes=sum(tensor.numel() * tensor.element_size() for tensor in weights),
        gradient_bytes=_GRADIENT_BYTES * trained,
        optimizer_bytes=_ADAM_BYTES * trained,
        step_flops=_step_flops(method, vlm, loss, batch) if trained else 0,
    )


def without_content(vlm: VisionLanguageModel) -> VisionLanguageModel:
    """Copy a model to torch's `meta` device; what it reads texts and images with stays the same."""
    kept = (vlm.tokenizer, vlm.clip_tokenizer, vlm.image_processor)
    return copy.deepcopy(vlm, {id(part): part for part in kept}).to("meta")


def _step_flops(method: Method, vlm: VisionLanguageModel, loss: LossName, batch: Batch) -> int:
    # Operations do not depend on the type, and products of different types need autocast.
    vlm.float().train()
    side = image_side(vlm.image_processor)
    pixels = torch.empty(batch.n_images, 3, side, side, device="meta")
    # Torch counts no operations in the CPU's fused attention; those of its plain one are the same.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        value = _answer_loss(vlm, pixels, batch) if loss == "lm" else _contrastive_loss(vlm, pixels)
        penalty = method.penalty()
        (value if penalty is None else value + penalty).backward()
    return int(counter.get_total_flops())


def _answer_loss(vlm: VisionLanguageModel, pixels: Tensor, batch: Batch) -> Tensor:
    """Return `lm` of nothing: LLaVA's own forward pass looks for image tokens among ids that are not there."""
    n_words = batch.n_tokens - vlm.n_image_tokens
    ids = torch.empty(batch.n_images, n_words, dtype=torch.int64, device="meta")
    words = vlm.llava.get_input_embeddings()(ids)
    length = batch.n_tokens
    hidden = vlm.llava.model.language_model(
        inputs_embeds=torch.cat((vlm.image_tokens(pixels), words), dim=1),
        # Given as it is used in the layers; any other form would be looked into.
        attention_mask=torch.empty(batch.n_images, 1, length, length, device="meta"),
        use_cache=False,
    ).last_hidden_state
    answers = hidden.flatten(0, 1)[: batch.n_answer_tokens]
    targets = torch.empty(len(answers), dtype=torch.int64, device="meta")
    return functional.cross_entropy(vlm.llava.lm_head(answers), targets)


def _contrastive_loss(vlm: VisionLanguageModel, pixels: Tensor) -> Tensor:
    """Return what costs as much as `clip`: every image's similarity to every image's class."""
    images = vlm.clip_image_features(pixels)
    return (images @ torch.empty_like(images).T).sum()
