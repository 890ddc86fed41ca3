"""Compare one training step of LoRSU with its dense formulation, with LoRA and with the floor.

Every contender adapts its own copy of one random CLIP tower, at the width of CLIP ViT-L/14-336 but
of fewer blocks, and takes its steps on the same batch alternately, so that a machine's fluctuations fall on
all alike. The time ratio is the median over rounds of a contender's time over the floor's in the
same round.

    floor        forward, backward through the frozen tower, and the weight gradients of every fc1
    lorsu-clip   LoRSU, the variant published for the contrastive loss
    lorsu-lm     LoRSU, the variant published for the language-model loss
    dense-clip   the clip variant with full-size matrices: W + M * (B A), masked gradient, dense AdamW
    dense-lm     the lm variant in the same way
    lora         peft's LoRA of the same rank on q, k, v, out_proj, fc1 and fc2

The floor takes no attention gradients in its first block, which flatters it the more the fewer the
blocks are: one in 24 for the real tower. Every run made, with torch 2.13 on one thread of two cores
that other work kept busy (load above 3), so a ratio is worth about 0.05:

    blocks x images             4 x 2    4 x 2    8 x 1    2 x 2, CPU time
    lorsu-clip / floor          1.050    1.038    1.040    1.195
    lorsu-lm / floor            1.103    1.127    1.014    1.151
    dense-clip / floor          1.286    1.126    1.226    1.290
    dense-lm / floor            1.233    1.145    1.124    1.254
    lora / floor                1.169    1.125    1.092    1.183
    lorsu-clip / lora           0.914    0.889    0.888    1.022
    lorsu-lm / lora             0.994    0.963    0.905    0.962

Bytes of trainables and optimiser state over those of the dense formulation do not depend on the
run: 0.116 for lorsu-clip, 0.140 for lorsu-lm.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel

from ablate.methods.lorsu import LorsuConfig, parameter_groups, select
from ablate.methods.lorsu.architecture import linear

RANK = 64
TOP_K_HEADS = 2
SPARSITY = 0.1
LEARNING_RATE = 1e-5
WEIGHT_DECAY = 0.01
N_HEADS = 16


@dataclass
class Contender:
    """A model with what trains it.

    Attributes:
        model: Takes `pixel_values`.
        optimizer: None for the floor, which takes no step.
        mask_gradients: Called between backward and step.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    mask_gradients: Callable[[], None]

    def step(self, pixel_values: Tensor) -> float:
        """Take one step and return its seconds."""
        _synchronise(pixel_values)
        start = time.perf_counter()
        output = self.model(pixel_values=pixel_values).last_hidden_state
        output.float().square().mean().backward()
        self.mask_gradients()
        if self.optimizer is not None:
            self.optimizer.step()
        self.model.zero_grad(set_to_none=True)
        _synchronise(pixel_values)
        return time.perf_counter() - start

    def bytes_used(self, pixel_values: Tensor) -> tuple[int, int, int]:
        """Take one step and count the bytes of trainables, gradients and optimiser state."""
        self.model(pixel_values=pixel_values).last_hidden_state.float().square().mean().backward()
        trained = [value for value in self.model.parameters() if value.requires_grad]
        gradient_bytes = sum(value.grad.nbytes for value in trained if value.grad is not None)
        states: list[Tensor] = []
        if self.optimizer is not None:
            self.optimizer.step()
            states = [value for state in self.optimizer.state.values() for value in state.values()]
        self.model.zero_grad(set_to_none=True)
        parameter_bytes = sum(value.nbytes for value in trained) if states else 0
        return parameter_bytes, gradient_bytes, sum(value.nbytes for value in states)


class DenseRows(nn.Module):
    """q, k or v with a full-size masked product: W + M * (B A)."""

    mask: Tensor

    def __init__(self, base: nn.Linear, right: nn.Parameter, train_bias: bool) -> None:
        """Wrap `base`; `right` is A."""
        super().__init__()
        self.weight, self.right = base.weight, right
        self.bias = base.bias.requires_grad_(train_bias)
        self.left = nn.Parameter(right.new_zeros(base.out_features, RANK))
        mask = torch.zeros_like(base.weight)
        mask[: TOP_K_HEADS * base.out_features // N_HEADS] = 1.0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to `[batch, tokens, width]`."""
        weight = self.weight + self.mask * (self.left @ self.right)
        return functional.linear(x, weight, self.bias)


def build_tower(n_blocks: int, device: str) -> CLIPVisionModel:
    """Build a frozen tower at the width of CLIP ViT-L/14-336."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_attention_heads=N_HEADS,
        num_hidden_layers=n_blocks,
        image_size=336,
        patch_size=14,
    )
    with torch.device(device):
        tower = CLIPVisionModel(config)
    tower.requires_grad_(False)
    return tower


def floor(tower: CLIPVisionModel) -> Contender:
    """Ask for the weight gradients of fc1 alone."""
    for block in tower.get_submodule("encoder.layers").children():
        linear(block, "mlp.fc1").weight.requires_grad_(True)
    return Contender(tower, None, lambda: None)


def lorsu(tower: CLIPVisionModel, variant: str) -> Contender:
    """Adapt the tower with a published variant, without the projection, which the tower has not."""
    config = LorsuConfig.published(
        variant,  # type: ignore[arg-type]
        r=RANK,
        alpha=RANK,
        top_k_heads=TOP_K_HEADS,
        sparsity=SPARSITY,
        projections=[],
        selection="random",
    )
    model = get_peft_model(tower, config)
    select(model)
    groups = parameter_groups(model.named_parameters(), WEIGHT_DECAY)
    return Contender(model, torch.optim.AdamW(groups, lr=LEARNING_RATE), lambda: None)


def dense(tower: CLIPVisionModel, variant: str) -> Contender:
    """Train the same update as masked matrices of full size."""
    generator = torch.Generator().manual_seed(0)
    masks: list[tuple[Tensor, Tensor]] = []
    for block in tower.get_submodule("encoder.layers").children():
        right = None
        for name in ("q_proj", "k_proj", "v_proj"):
            base = linear(block, f"self_attn.{name}")
            if right is None or variant == "lm":
                right = nn.Parameter(torch.randn_like(base.weight[:RANK]) / 32)
            block.set_submodule(f"self_attn.{name}", DenseRows(base, right, variant == "clip"))
        fc1 = linear(block, "mlp.fc1")
        fc1.requires_grad_(True)
        mask = torch.rand(fc1.weight.shape, generator=generator) < SPARSITY
        masks.append((fc1.weight, mask.to(fc1.weight)))

    def mask_gradients() -> None:
        for weight, mask in masks:
            if weight.grad is not None:
                weight.grad.mul_(mask)

    trained = [value for value in tower.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return Contender(tower, optimizer, mask_gradients)


def lora(tower: CLIPVisionModel) -> Contender:
    """Adapt every linear layer of the blocks with peft's LoRA."""
    targets = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
    model = get_peft_model(tower, LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets))
    trained = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return Contender(model, optimizer, lambda: None)


def _synchronise(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    """Run the comparison and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    tower = build_tower(options.blocks, options.device)
    pixel_values = torch.randn(options.batch_size, 3, 336, 336).to(options.device)
    contenders = {
        "floor": floor(copy.deepcopy(tower)),
        "lorsu-clip": lorsu(copy.deepcopy(tower), "clip"),
        "lorsu-lm": lorsu(copy.deepcopy(tower), "lm"),
        "dense-clip": dense(copy.deepcopy(tower), "clip"),
        "dense-lm": dense(copy.deepcopy(tower), "lm"),
        "lora": lora(copy.deepcopy(tower)),
    }
    used = {name: each.bytes_used(pixel_values) for name, each in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, contender in contenders.items():
            seconds[name].append(contender.step(pixel_values))

    print(
        f"{options.blocks} blocks, {options.batch_size} images, {options.device}, "
        f"{torch.get_num_threads()} threads, median of {options.rounds} rounds"
    )
    print(f"{'':12}{'seconds':>9}{'/ floor':>9}{'/ lora':>9}", end="")
    print(f"{'trainable MB':>14}{'gradient MB':>13}{'optimiser MB':>14}")
    for name in contenders:
        ratios = [
            statistics.median(
                own / other for own, other in zip(seconds[name], seconds[rival], strict=True)
            )
            for rival in ("floor", "lora")
        ]
        print(f"{name:12}{statistics.median(seconds[name]):9.3f}", end="")
        print(f"{ratios[0]:9.3f}{ratios[1]:9.3f}", end="")
        megabytes = [count / 1e6 for count in used[name]]
        print(f"{megabytes[0]:14.2f}{megabytes[1]:13.2f}{megabytes[2]:14.2f}")
    for variant in ("clip", "lm"):
        ours, theirs = used[f"lorsu-{variant}"], used[f"dense-{variant}"]
        share = (ours[0] + ours[2]) / (theirs[0] + theirs[2])
        print(f"lorsu-{variant}: {share:.3f} of the dense trainable and optimiser bytes")


if __name__ == "__main__":
    main()
