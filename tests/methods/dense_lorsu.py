"""LoRSU as its paper writes it down, with every matrix at full size; slow, plain and independent.

Nothing of `ablate` is used here: scores by loops over heads, masks of ones and zeros, a full-size
product M * (B A), the full gradient of fc1 multiplied by its mask, and Adam written out over dense
matrices.
"""

import math
from dataclasses import dataclass, field

import torch
from torch.func import functional_call


@dataclass
class DenseSettings:
    """The options of LoRSU that the dense statement needs, under the names of its paper."""

    n_heads: int
    top_k_heads: int
    sparsity: float
    scale: float
    fused: bool
    train_qkv_bias: bool
    train_fc1_bias: bool
    learning_rate: float
    weight_decay: float
    blocks: list[dict[str, str]]
    projection: str | None = None


@dataclass
class DenseResult:
    """What was chosen and where training ended."""

    heads: list[list[int]]
    entries: list[list[int]]
    weights: dict[str, torch.Tensor]
    losses: list[float] = field(default_factory=list)


def full_gradients(network, loss_fn, batches):
    """Mean gradient of every parameter: (1 / N) * sum of batch size * gradient."""
    totals = {name: torch.zeros_like(value) for name, value in network.named_parameters()}
    n_samples = 0
    for batch in batches:
        weights = {k: v.detach().clone().requires_grad_() for k, v in network.named_parameters()}
        loss = loss_fn(lambda *a, w=weights, **k: functional_call(network, w, a, k), batch)
        found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, found, strict=True):
            if gradient is not None:
                totals[name] += len(batch) * gradient
        n_samples += len(batch)
    return {name: total / n_samples for name, total in totals.items()}


def choose_heads(gradients, block, settings):
    scores = []
    for head in range(settings.n_heads):
        score = 0.0
        for part in "qkv":
            gradient = gradients[block[part] + ".weight"]
            rows = gradient.shape[0] // settings.n_heads
            for row in range(head * rows, (head + 1) * rows):
                score += float((gradient[row] ** 2).sum())
        scores.append(score)
    ranked = sorted(range(settings.n_heads), key=lambda head: (-scores[head], head))
    return sorted(ranked[: settings.top_k_heads])


def choose_entries(gradients, block, settings):
    scores = gradients[block["fc1"] + ".weight"].abs().flatten().tolist()
    ranked = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return sorted(ranked[: math.floor(len(scores) * settings.sparsity)])


def check_start(pairs, projection, init_side):
    """Check the initial `(B, A)` of every layer, masked rows left out, against the published start.

    One matrix of a pair is zero, so that the update is; the other is uniform within 1 / sqrt(fan). For
    q, k and v the fan is the random matrix's number of columns. The projection is adapted as CLIP keeps
    it, `x P` with P `[in, out]`: its random matrix is the one that x meets, `[in, r]`, of r columns.
    """
    for layer, (left, right) in pairs.items():
        if layer == projection:
            start, zero = right.t(), left
        else:
            start, zero = (left, right) if init_side == "left" else (right, left)
        bound = start.shape[1] ** -0.5
        assert zero.count_nonzero() == 0, layer
        assert 0.6 * bound < start.abs().max() <= bound, layer


def row_mask(weight, heads, n_heads):
    mask = torch.zeros_like(weight)
    rows = weight.shape[0] // n_heads
    for head in heads:
        mask[head * rows : (head + 1) * rows] = 1.0
    return mask


class DenseAdam:
    """Adam over full-size matrices, with decay of the entries that a mask marks as trained."""

    def __init__(self, learning_rate, weight_decay):
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.moments, self.n_steps = {}, 0

    def step(self, trained, gradients, masks):
        self.n_steps += 1
        for name, value in trained.items():
            gradient, mask = gradients[name] * masks[name], masks[name]
            first, second = self.moments.get(name, (0.0, 0.0))
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            self.moments[name] = (first, second)
            if not name.endswith(".bias"):
                value -= self.learning_rate * self.weight_decay * mask * value
            corrected = (second / (1 - 0.999**self.n_steps)).sqrt() + 1e-8
            value -= self.learning_rate * first / (1 - 0.9**self.n_steps) / corrected


def train(network, loss_fn, importance_batches, batches, pairs, settings):
    """Run LoRSU on full-size matrices.

    Args:
        network: Its parameters are left as they are.
        loss_fn: Maps a callable network and a batch to a loss.
        importance_batches: What heads and entries are chosen by.
        batches: One optimiser step each.
        pairs: Initial `(B, A)` of full size by layer path; layers with one A between them hold the
            same tensor.
        settings: The method's options.
    """
    base = {name: value.detach().clone() for name, value in network.named_parameters()}
    gradients = full_gradients(network, loss_fn, importance_batches)
    heads = [choose_heads(gradients, block, settings) for block in settings.blocks]
    entries = [choose_entries(gradients, block, settings) for block in settings.blocks]
    trained, masks, products = {}, {}, {}

    def add_pair(layer, mask, shared):
        left, right = pairs[layer]
        trained[f"{layer}.B"], trained[f"{shared}.A"] = left.clone(), right.clone()
        masks[f"{layer}.B"] = torch.ones_like(left)
        masks[f"{shared}.A"] = torch.ones_like(right)
        products[layer] = (mask, f"{layer}.B", f"{shared}.A")

    for block, chosen, places in zip(settings.blocks, heads, entries, strict=True):
        for part in "qkv":
            layer = block[part]
            if settings.top_k_heads:
                mask = row_mask(base[layer + ".weight"], chosen, settings.n_heads)
                add_pair(layer, mask, block["q"] if settings.fused else layer)
            if settings.train_qkv_bias:
                trained[layer + ".bias"] = base[layer + ".bias"].clone()
        name = block["fc1"] + ".weight"
        trained[name], masks[name] = base[name].clone(), torch.zeros_like(base[name])
        masks[name].view(-1)[places] = 1.0
        if settings.train_fc1_bias and block["fc1"] + ".bias" in base:
            trained[block["fc1"] + ".bias"] = base[block["fc1"] + ".bias"].clone()
    if settings.projection:
        weight = base[settings.projection + ".weight"]
        add_pair(settings.projection, torch.ones_like(weight), settings.projection)
    for name, value in trained.items():
        masks.setdefault(name, torch.ones_like(value))

    def effective(values):
        weights = {**base, **{name: values[name] for name in values if name in base}}
        for layer, (mask, left, right) in products.items():
            product = values[left] @ values[right]
            weights[layer + ".weight"] = base[layer + ".weight"] + settings.scale * mask * product
        return weights

    result = DenseResult(heads, entries, {})
    adam = DenseAdam(settings.learning_rate, settings.weight_decay)
    for batch in batches:
        leaves = {name: value.clone().requires_grad_() for name, value in trained.items()}
        weights = effective(leaves)
        loss = loss_fn(lambda *a, w=weights, **k: functional_call(network, w, a, k), batch)
        found = torch.autograd.grad(loss, list(leaves.values()))
        adam.step(trained, dict(zip(leaves, found, strict=True)), masks)
        result.losses.append(float(loss.detach()))
    result.weights = effective(trained)
    return result
