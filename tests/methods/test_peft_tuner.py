"""Any tuner of peft by configuration: which there are, what their options may be, and that what is trained is kept."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load, save
from tests.conftest import build_tiny_random_vlm
from tests.methods.sessions import RANK, method_config, outputs, run_config, task, weights
from tests.pricing.stages import FP32, priced, stage

import ablate
from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder
from ablate.config.reading import read_plain, to_plain
from ablate.methods.base import Setting
from ablate.methods.build import build_method, check_method
from ablate.methods.joint import Joint
from ablate.methods.peft_types import usable_types
from ablate.models.skeleton import without_content
from ablate.pricing.training import attached

pytestmark = [
    pytest.mark.numerical,
    # BOFT wants to compile a kernel for GPUs, and does without one.
    pytest.mark.filterwarnings("ignore:Failed to load the CUDA extension"),
    pytest.mark.filterwarnings("ignore:Setting boft_n_butterfly_factor to 1"),
]

# Options with which each fits layers of 32 and 64 inputs and starts as no update at all, and whether it has a rank.
TUNERS = {
    "ADAMSS": (True, {}),
    "BEFT": (False, {}),
    "BOFT": (False, {"boft_block_size": 4}),
    "C3A": (False, {"block_size": 8, "init_weights": True}),
    "DEFT": (True, {}),
    "DELORA": (True, {}),
    "FOURIERFT": (False, {"n_frequency": 50, "init_weights": True}),
    "FROD": (False, {}),
    "GLORA": (True, {}),
    "GRALORA": (True, {}),
    "HIRA": (True, {}),
    "HRA": (True, {}),
    "IA3": (False, {"feedforward_modules": ()}),
    "LN_TUNING": (False, {}),
    "LOHA": (True, {}),
    "LOKR": (True, {}),
    "LORA": (True, {"use_rslora": True}),
    "MISS": (True, {}),
    "OFT": (True, {"oft_block_size": 0}),
    "OSF": (False, {}),
    "PEANUT": (True, {}),
    "PSOFT": (True, {}),
    "PVERA": (True, {}),
    "RANDLORA": (True, {}),
    "ROAD": (False, {"group_size": 8}),
    "SHIRA": (True, {}),
    "SUPERTUNING": (True, {}),
    "TINYLORA": (True, {}),
    "UNILORA": (True, {}),
    "VBLORA": (False, {"vector_length": 8, "num_vectors": 16}),
    "VERA": (True, {}),
    "WAVEFT": (False, {"n_frequency": 50}),
}
# These start from a random update, as their authors have it.
START_ELSEWHERE = {"UNILORA", "VBLORA"}
# These look into weights or into what they draw, so without content nothing is known of them.
NEED_CONTENT = {"ADAMSS", "BOFT", "FROD", "SHIRA", "UNILORA", "VBLORA", "WAVEFT"}


def tuner(peft_type, rank=None, **options):
    return replace(
        method_config("vera"), name="tuner", peft_type=peft_type, rank=rank, options=options
    )


def built(peft_type):
    has_rank, options = TUNERS[peft_type]
    config = tuner(peft_type, RANK if has_rank else None, **options)
    check_method(config, "lm")
    return build_method(config, "lm")


def test_every_tuner_that_peft_can_merge_is_in_the_table():
    assert set(usable_types()) == set(TUNERS)


@pytest.mark.parametrize("peft_type", TUNERS)
def test_a_tuner_trains_and_comes_back_from_its_update(peft_type, tiny_random_vlm):
    vlm = tiny_random_vlm.requires_grad_(False)
    unadapted, names = outputs(vlm), dict(vlm.named_parameters()).keys()
    method = built(peft_type)
    made = task(vlm, "lm")
    method.attach(vlm, made.session(method, vlm, epochs=1, seed=3))
    trained = [p for p in vlm.parameters() if p.requires_grad]
    assert trained
    assert all(p.dtype == torch.float32 for p in trained)
    if peft_type not in START_ELSEWHERE:
        torch.testing.assert_close(outputs(vlm), unadapted, rtol=1e-4, atol=1e-4)
    made.train(method, vlm, epochs=1)
    adapted = outputs(vlm)
    assert not torch.allclose(adapted, unadapted, rtol=1e-3, atol=1e-3)

    stored = load(save(method.update()))
    method.merge()
    merged = outputs(vlm)
    torch.testing.assert_close(merged, adapted, rtol=1e-3, atol=1e-3)
    assert not any(isinstance(module, BaseTunerLayer) for module in vlm.modules())
    assert dict(vlm.named_parameters()).keys() == names

    other = build_tiny_random_vlm().requires_grad_(False)
    again = built(peft_type)
    again.load(other, stored, seed=3)
    again.merge()
    assert torch.equal(outputs(other), merged)


@pytest.mark.parametrize("peft_type", TUNERS)
def test_the_cost_of_a_tuner_is_known_unless_it_starts_from_the_weights(peft_type, tiny_random_vlm):
    vlm = tiny_random_vlm.requires_grad_(False)
    setting = Setting(without_content(vlm), "random", is_own_encoder=True)
    built(peft_type).check_model(setting)
    if peft_type in NEED_CONTENT:
        with pytest.raises((NotImplementedError, RuntimeError)):
            priced(stage(built(peft_type), "lm"), FP32)
        return
    found, _ = attached(built(peft_type), without_content(vlm), seed=0)
    method = built(peft_type)
    method.attach(vlm, task(vlm, "lm").session(method, vlm, epochs=1, seed=0))
    scalars, expected = (
        sum(p.numel() for p in model.parameters() if p.requires_grad) for model in (found.vlm, vlm)
    )
    assert scalars == expected > 0


def test_the_seed_draws_all_that_is_random():
    def update(seed):
        vlm = build_tiny_random_vlm().requires_grad_(False)
        method = built("VERA")
        method.attach(vlm, task(vlm, "lm").session(method, vlm, epochs=1, seed=seed))
        return method.update()

    one, same, other = update(1), update(1), update(2)
    shared = "base_model.vera_A"
    assert all(torch.equal(tensor, same[name]) for name, tensor in one.items())
    assert not torch.equal(one[shared], other[shared])
    assert len([name for name in one if "vera_A" in name]) == 1


def test_two_parts_can_share_different_projections(tiny_random_vlm):
    def joint():
        config = method_config("vera")
        targets = replace(config.target_modules, encoder=(), language_model=("q_proj", "v_proj"))
        language = replace(config, name="vera-l", target_modules=targets)
        return Joint(
            {"encoder": build_method(config, "lm"), "language_model": build_method(language, "lm")}
        )

    vlm = tiny_random_vlm.requires_grad_(False)
    method, made = joint(), task(vlm, "lm")
    method.attach(vlm, made.session(method, vlm, epochs=1, seed=0))
    made.train(method, vlm, epochs=1)
    update = method.update()
    method.merge()
    other = build_tiny_random_vlm().requires_grad_(False)
    again = joint()
    again.load(other, update, seed=0)
    again.merge()
    for name, tensor in weights(other).items():
        torch.testing.assert_close(tensor, weights(vlm)[name], rtol=0, atol=1e-6)


WRONG = {
    "misspelt": (tuner("VERRA"), r"Unknown method\.peft_type 'VERRA'\. Did you mean 'VERA'\?"),
    "prompts": (tuner("PROMPT_TUNING"), r"wraps no layers .*allowed: ADAMSS, .*Fix:"),
    "no merge": (tuner("LILY"), r"cannot put on a linear layer and merge"),
    "own": (tuner("ADALORA"), r"is method 'adalora' here; .*Fix: method=adalora\."),
    "no rank": (tuner("FOURIERFT", rank=4), r"method\.rank is 4, but FOURIERFT has no rank\."),
    "unknown option": (tuner("VERA", d_inital=0.1), r"'d_inital'\. Did you mean 'd_initial'\?"),
    "wrong type": (tuner("VERA", d_initial="x"), r"d_initial is 'x'; allowed: a valid number"),
    "switch": (tuner("VERA", d_initial=True), r"d_initial is True; allowed: a valid number"),
    "list": (tuner("VERA", d_initial=(1.0,)), r"d_initial is \[1\.0\]"),
    "rank as option": (tuner("VERA", r=4), r"options\.r is given.*Fix: method\.rank=\.\.\."),
    "biases": (tuner("VERA", bias="all"), r"options\.bias is given.*Fix: leave bias out\."),
    "start from data": (
        tuner("LORA", init_lora_weights="eva"),
        r"init_lora_weights is 'eva'.*a pass over data.*Fix: method\.options\.init_lora_weights=true",
    ),
    "code": (tuner("LORA", megatron_core="os"), r"options\.megatron_core is given"),
    "peft's rule": (tuner("OFT", rank=4, oft_block_size=4), r"peft refuses method 'tuner' \(OFT\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_peft_cannot_do_is_refused_without_a_model(case):
    config, said = WRONG[case]
    with pytest.raises(ConfigError, match=said) as error:
        check_method(config, "lm")
    assert "\n" not in str(error.value)


def test_what_does_not_fit_the_layers_is_refused_without_weights(tiny_random_vlm):
    setting = Setting(without_content(tiny_random_vlm), "random", is_own_encoder=True)
    config = tuner("ROAD", group_size=64)
    check_method(config, "lm")
    with pytest.raises(ConfigError, match=r"must be divisible by group_size.*Fix: change method\."):
        build_method(config, "lm").check_model(setting)
    assert not any(isinstance(m, BaseTunerLayer) for m in setting.vlm.modules())


def test_a_tuner_has_a_name_of_its_own():
    with pytest.raises(ConfigError, match=r"method\.name is 'lora', the name of a built-in method"):
        run_config("method=vera", "method.name=lora")
    with pytest.raises(ConfigError, match=r"method\.name is 'a b'; allowed"):
        run_config("method=vera", "method.name='a b'")


def test_a_tuner_survives_the_file_that_a_run_keeps():
    run = run_config("method=vera", "+method.options.save_projection=false")
    assert read_plain(to_plain(run)) == run


def test_vera_costs_one_file():
    """Nothing but its configuration, and the ablation of methods, knows it."""
    package, configs = Path(ablate.__file__).parent, config_folder()
    naming = {
        str(file.relative_to(file.parents[1]))
        for file in (*package.rglob("*.py"), *configs.rglob("*.yaml"))
        if re.search(r"\bvera\b", file.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    assert naming == {"method/vera.yaml", "ablation/method.yaml"}
