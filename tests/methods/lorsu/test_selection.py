import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.methods import dense_lorsu
from tests.methods.lorsu import towers

from ablate.config.errors import ConfigError
from ablate.methods.lorsu import LorsuConfig, importance_parameters, mean_gradients, select
from ablate.methods.lorsu.selection import choose_entries, choose_heads, head_scores

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def config(**options):
    return LorsuConfig(**{"r": 2, "alpha": 2, "top_k_heads": 2, "sparsity": 0.1, **options})


def chosen(network, gradients=None, **options):
    model = get_peft_model(network, config(**options))
    select(model, gradients)
    return {
        name: value.tolist()
        for name, value in model.named_buffers()
        if "lorsu_heads" in name or "lorsu_indices" in name
    }


@pytest.mark.parametrize("levels", [2, 1000])
def test_entries_are_those_of_a_full_stable_sort(levels):
    generator = torch.Generator().manual_seed(levels)
    for size in (1, 7, 400):
        scores = torch.randint(levels, (size,), generator=generator).float()
        for n in {1, size // 2 + 1, size}:
            ranked = sorted(range(size), key=lambda place: (-float(scores[place]), place))
            assert choose_entries(scores, n).tolist() == sorted(ranked[:n])


def test_equal_heads_go_to_the_lowest():
    assert choose_heads(torch.tensor([1.0, 3.0, 3.0, 3.0]), 2).tolist() == [1, 2]
    assert choose_heads(torch.zeros(5), 3).tolist() == [0, 1, 2]


def test_head_score_is_the_squared_norm_of_its_rows_in_q_k_and_v():
    q, k, v = (torch.zeros(6, 4) for _ in range(3))
    q[0, 1], k[2, 0], v[3, 3], v[5, 0] = 3.0, -1.0, 2.0, -5.0
    assert head_scores([q, k, v], 3).tolist() == [9.0, 5.0, 25.0]


def test_tiny_gradients_are_still_told_apart():
    q = torch.full((4, 2), 1e-30)
    q[2:] = 2e-30
    assert choose_heads(head_scores([q, q, q], 2), 1).tolist() == [1]


def test_mean_gradient_weighs_batches_by_their_size_and_keeps_the_sign():
    weight = torch.nn.Parameter(torch.zeros(2), requires_grad=False)
    batches = [torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, 3.0]]), torch.tensor([[-3.0, 1.0]])]
    found = mean_gradients(
        {"weight": weight}, batches, lambda batch: ((batch @ weight).mean(), len(batch))
    )
    assert found["weight"].tolist() == [0.0, 1.0]
    assert not weight.requires_grad
    assert weight.grad is None


def test_mean_gradient_equals_the_dense_statement():
    network = towers.clip_encoder(0).requires_grad_(False)
    batches = [towers.images(0), towers.images(1, n=3)]
    parameters = importance_parameters(network, config(blocks=2))
    found = mean_gradients(
        parameters, batches, lambda batch: (towers.clip_loss(network, batch), len(batch))
    )
    expected = dense_lorsu.full_gradients(network, towers.clip_loss, batches)
    assert len(found) == 8
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=0, atol=1e-13)
    assert not any(value.requires_grad for value in network.parameters())


def test_weights_that_no_loss_reaches_have_a_zero_gradient():
    network = towers.clip_encoder(0)
    parameters = importance_parameters(network, config())
    found = mean_gradients(
        parameters,
        [towers.images(0)],
        lambda batch: (towers.lm_loss(network, batch), len(batch)),
    )
    last = [name for name in found if ".layers.2." in name]
    assert len(last) == 4
    assert all(found[name].count_nonzero() == 0 for name in last)


def test_empty_importance_set_is_refused():
    with pytest.raises(ConfigError, match="importance set is empty"):
        mean_gradients({}, [], lambda batch: (batch, 0))


def test_one_importance_pass_serves_every_rank_head_count_and_sparsity():
    names = set(importance_parameters(towers.clip_encoder(0), config()))
    other = config(r=8, top_k_heads=0, sparsity=0.0, fused_qkv=True)
    assert set(importance_parameters(towers.clip_encoder(0), other)) == names


def test_first_rule():
    found = chosen(towers.clip_encoder(0), selection="first")
    for name, value in found.items():
        assert value == list(range(2 if "heads" in name else 32))


def test_random_rule_follows_its_seed_alone():
    first = chosen(towers.clip_encoder(0), selection="random", selection_seed=3)
    torch.rand(3)
    assert chosen(towers.clip_encoder(5), selection="random", selection_seed=3) == first
    other = chosen(towers.clip_encoder(0), selection="random", selection_seed=4)
    assert other != first
    without_heads = chosen(
        towers.clip_encoder(0), selection="random", selection_seed=3, top_k_heads=0
    )
    assert without_heads.items() <= first.items()
    blocks = [value for name, value in first.items() if "indices" in name]
    assert blocks[0] != blocks[1]


def test_random_rule_chooses_heads_evenly():
    counts = torch.zeros(4)
    for seed in range(60):
        found = chosen(towers.clip_encoder(0), selection="random", selection_seed=seed)
        for name, heads in found.items():
            if "q_proj" in name:
                counts[heads] += 1
    assert counts.sum() == 360
    assert (counts - 90).abs().max() < 30


def test_weight_magnitude_rule_takes_large_weights():
    network = towers.clip_encoder(0)
    weights = {name: value.detach().clone() for name, value in network.named_parameters()}
    found = chosen(network, selection="weight_magnitude")
    block = {part: f"vision_model.encoder.layers.1.self_attn.{part}_proj" for part in "qkv"}
    block["fc1"] = "vision_model.encoder.layers.1.mlp.fc1"
    settings = dense_lorsu.DenseSettings(4, 2, 0.1, 1.0, False, False, False, 0.0, 0.0, [block])
    prefix = "base_model.model."
    heads = found[f"{prefix}{block['v']}.lorsu_heads.default"]
    assert heads == dense_lorsu.choose_heads(weights, block, settings)
    entries = found[f"{prefix}{block['fc1']}.lorsu_indices.default"]
    assert entries == dense_lorsu.choose_entries(weights, block, settings)


@pytest.mark.parametrize("broken", ["missing", "shape", "nan"])
def test_unusable_gradients_are_refused(broken):
    network = towers.clip_encoder(0)
    parameters = importance_parameters(network, config())
    gradients = {name: torch.ones_like(value) for name, value in parameters.items()}
    name = next(name for name in gradients if "fc1" in name)
    if broken == "missing":
        del gradients[name]
    elif broken == "shape":
        gradients[name] = gradients[name].t()
    else:
        gradients[name][3, 2] = torch.nan
    with pytest.raises(ConfigError, match=name):
        chosen(network, gradients)


def test_selecting_needs_an_adapter_of_this_method():
    model = get_peft_model(towers.clip_encoder(0), config())
    with pytest.raises(ConfigError, match="Did you mean 'default'"):
        select(model, {}, adapter_name="defualt")
    lora = get_peft_model(towers.clip_encoder(0), LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(ConfigError, match="not a LorsuConfig"):
        select(lora, {})
