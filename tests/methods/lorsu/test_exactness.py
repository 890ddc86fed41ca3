"""LoRSU against the dense statement of the algorithm, in float64."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from peft import get_peft_model
from tests.methods import dense_lorsu
from tests.methods.lorsu import towers

from ablate.methods.lorsu import (
    LorsuConfig,
    importance_parameters,
    mean_gradients,
    parameter_groups,
    select,
)

pytestmark = [
    pytest.mark.numerical,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

N_STEPS = 20
LEARNING_RATE = 3e-3


@dataclass
class Case:
    """One network, one configuration of LoRSU and the training that is compared."""

    network: torch.nn.Module
    config: LorsuConfig
    loss_fn: Callable
    batches: list
    paths: list
    n_heads: int
    weight_decay: float
    projection: str | None = None


def block_paths(stack, attention, mlp, indices):
    return [
        {part: f"{stack}.{index}.{attention}.{part}_proj" for part in "qkv"}
        | {"fc1": f"{stack}.{index}.{mlp}"}
        for index in indices
    ]


def low_rank_layers(model, case):
    """Every layer with a low-rank pair, by path."""
    paths = [block[part] for block in case.paths for part in "qkv"]
    paths += [case.projection] if case.projection else []
    layers = {path: model.get_base_model().get_submodule(path) for path in paths}
    return {p: layer for p, layer in layers.items() if "default" in getattr(layer, "lorsu_B", ())}


def right_matrix(layer):
    return layer.owner.get("default", layer).lorsu_A["default"].detach().clone()


def full_size_pairs(model, case):
    """Embed the adapter's initial matrices in full-size ones, whose masked rows are arbitrary."""
    generator = torch.Generator().manual_seed(5)
    pairs = {}
    for path, layer in low_rank_layers(model, case).items():
        rows, heads = layer.lorsu_B["default"].detach(), layer.lorsu_heads["default"]
        left = torch.randn(
            layer.n_heads,
            layer.base_layer.out_features // layer.n_heads,
            case.config.r,
            generator=generator,
            dtype=torch.float64,
        )
        left[heads] = rows.view(len(heads), -1, case.config.r)
        pairs[path] = (left.flatten(0, 1), right_matrix(layer))
    return pairs


def dense_settings(case):
    return dense_lorsu.DenseSettings(
        n_heads=case.n_heads,
        top_k_heads=case.config.top_k_heads,
        sparsity=case.config.sparsity,
        scale=case.config.alpha / case.config.r,
        fused=case.config.fused_qkv,
        train_qkv_bias=case.config.train_qkv_bias,
        train_fc1_bias=case.config.train_fc1_bias,
        learning_rate=LEARNING_RATE,
        weight_decay=case.weight_decay,
        blocks=case.paths,
        projection=case.projection,
    )


def train(model, case):
    groups = parameter_groups(model.named_parameters(), case.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    losses = []
    for batch in case.batches:
        optimizer.zero_grad()
        loss = case.loss_fn(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def check_choice(model, case, dense):
    network = model.get_base_model()
    for block, heads, entries in zip(case.paths, dense.heads, dense.entries, strict=True):
        if heads:
            for part in "qkv":
                layer = network.get_submodule(block[part])
                assert layer.lorsu_heads["default"].tolist() == heads
        if entries:
            assert network.get_submodule(block["fc1"]).lorsu_indices["default"].tolist() == entries


def check(case):
    """Train both ways; compare what was chosen, the losses and every weight of the merged model."""
    base = copy.deepcopy(case.network)
    before = {name: value.detach().clone() for name, value in case.network.named_parameters()}
    importance_set = [case.batches[0], case.batches[1][:3]]
    gradients = mean_gradients(
        importance_parameters(case.network, case.config),
        importance_set,
        lambda batch: (case.loss_fn(case.network, batch), len(batch)),
    )
    loss_before = case.loss_fn(case.network, case.batches[0])
    model = get_peft_model(case.network, case.config)
    select(model, gradients)
    assert torch.equal(case.loss_fn(model, case.batches[0]), loss_before)

    start = {
        path: (layer.lorsu_B["default"].detach(), right_matrix(layer))
        for path, layer in low_rank_layers(model, case).items()
    }
    dense_lorsu.check_start(start, case.projection, case.config.init_side)
    pairs, settings = full_size_pairs(model, case), dense_settings(case)
    dense = dense_lorsu.train(base, case.loss_fn, importance_set, case.batches, pairs, settings)
    losses = train(model, case)
    check_choice(model, case, dense)
    assert losses == pytest.approx(dense.losses, abs=1e-9)

    last = case.loss_fn(model, case.batches[0])
    merged = model.merge_and_unload()
    torch.testing.assert_close(case.loss_fn(merged, case.batches[0]), last, rtol=0, atol=1e-12)
    weights = dict(merged.named_parameters())
    assert weights.keys() == before.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(weight, dense.weights[name], rtol=0, atol=1e-9)
        fixed = dense.weights[name] == before[name]
        assert torch.equal(weight[fixed], before[name][fixed])
    changed = {name for name, weight in weights.items() if not torch.equal(weight, before[name])}
    for block in case.paths:
        assert not settings.top_k_heads or f"{block['q']}.weight" in changed
        assert not settings.sparsity or f"{block['fc1']}.weight" in changed


CLIP_STACK = "vision_model.encoder.layers"
SIZES = [
    {"seed": 0, "width": 16, "n_heads": 4, "mlp_width": 20, "n_layers": 3},
    {"seed": 1, "width": 12, "n_heads": 3, "mlp_width": 30, "n_layers": 2},
    {"seed": 2, "width": 24, "n_heads": 2, "mlp_width": 16, "n_layers": 4},
]


@pytest.mark.parametrize("sizes", SIZES)
def test_clip_variant_equals_dense_statement(sizes):
    config = LorsuConfig.published(
        "clip", r=3, alpha=5, top_k_heads=2, sparsity=0.17, init_seed=sizes["seed"]
    )
    check(
        Case(
            towers.clip_encoder(**sizes),
            config,
            towers.clip_loss,
            [towers.images(step) for step in range(N_STEPS)],
            block_paths(CLIP_STACK, "self_attn", "mlp.fc1", range(sizes["n_layers"])),
            sizes["n_heads"],
            weight_decay=0.0,
            projection="visual_projection",
        )
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_lm_variant_equals_dense_statement(sizes):
    n_blocks = sizes["n_layers"] - 1
    config = LorsuConfig.published(
        "lm", r=4, alpha=4, top_k_heads=1, sparsity=0.1, blocks=n_blocks, init_seed=sizes["seed"]
    )
    check(
        Case(
            towers.clip_encoder(**sizes),
            config,
            towers.lm_loss,
            [towers.images(step) for step in range(N_STEPS)],
            block_paths(CLIP_STACK, "self_attn", "mlp.fc1", range(n_blocks)),
            sizes["n_heads"],
            weight_decay=0.3,
        )
    )


@pytest.mark.parametrize(
    ("build", "stack", "attention"),
    [
        (towers.siglip, "encoder.layers", "self_attn"),
        (towers.vit, "layers", "attention"),
        (towers.clip, "encoder.layers", "self_attn"),
    ],
)
@pytest.mark.parametrize("fused", [False, True])
def test_other_towers_equal_dense_statement(build, stack, attention, fused):
    torch.manual_seed(3)
    config = LorsuConfig(
        r=2, alpha=3, top_k_heads=2, sparsity=0.2, fused_qkv=fused, train_qkv_bias=True, init_seed=1
    )
    batches = [towers.images(step) for step in range(N_STEPS)]
    paths = block_paths(stack, attention, "mlp.fc1", range(2))
    check(Case(towers.spread(build()), config, towers.output_loss, batches, paths, 4, 0.1))


@pytest.mark.parametrize("n_key_heads", [2, 4])
def test_last_blocks_of_language_model_equal_dense_statement(n_key_heads):
    torch.manual_seed(4)
    config = LorsuConfig(
        r=2, alpha=2, top_k_heads=1, sparsity=0.2, blocks=2, blocks_from="last", init_seed=2
    )
    batches = [towers.token_ids(step) for step in range(N_STEPS)]
    paths = block_paths("layers", "self_attn", "mlp.up_proj", range(1, 3))
    network = towers.spread(towers.llama(n_key_heads))
    case = Case(network, config, towers.output_loss, batches, paths, n_key_heads, 0.1)
    check(case)


@pytest.mark.parametrize(
    "options",
    [
        {"top_k_heads": 0, "train_fc1_bias": False},
        {"top_k_heads": 0, "train_qkv_bias": True},
        {"sparsity": 0.0, "train_fc1_bias": False},
        {"sparsity": 0.0, "train_fc1_bias": True},
        {"top_k_heads": 4, "sparsity": 1.0, "init_side": "left"},
    ],
)
def test_component_ablations_equal_dense_statement(options):
    torch.manual_seed(6)
    config = LorsuConfig(
        **{"r": 2, "alpha": 2, "top_k_heads": 2, "sparsity": 0.1, "init_seed": 3, **options}
    )
    batches = [towers.images(step) for step in range(N_STEPS)]
    paths = block_paths("encoder.layers", "self_attn", "mlp.fc1", range(2))
    check(Case(towers.spread(towers.clip()), config, towers.output_loss, batches, paths, 4, 0.1))
