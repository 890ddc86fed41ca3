"""Ablations, comma sweeps and seeds become runs."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder
from ablate.sweep.expansion import RunSpec, expand, quoted


def expanded(*words: str) -> list[RunSpec]:
    overrides = OverridesParser.create().parse_overrides(list(words))
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return expand(overrides, lambda run: compose("config", overrides=run))


def test_an_ablation_is_every_value_with_every_seed():
    runs = expanded("+ablation=rank")
    made = [(run.config.method.rank, run.config.seed) for run in runs]
    assert made == [(rank, seed) for rank in (8, 16, 32, 64, 128, 256) for seed in (0, 1, 2)]
    assert all(run.config.ablation.value == run.config.method.rank for run in runs)
    assert all(run.config.method.alpha == run.config.method.rank for run in runs)
    assert {run.config.name for run in runs} == {"rank"}


def test_values_and_seeds_can_be_narrowed():
    runs = expanded("+ablation=rank", "ablation.values=[8,64]", "seeds=[5]")
    assert [(p.config.method.rank, p.config.seed) for p in runs] == [(8, 5), (64, 5)]


def test_several_ablations_follow_each_other():
    runs = expanded("+ablation=rank,heads", "seeds=[0]")
    assert [p.config.name for p in runs] == ["rank"] * 6 + ["heads"] * 4
    assert [p.config.method.top_k_heads for p in runs[6:]] == [1, 2, 4, 8]


def test_a_comma_sweep_is_a_grid():
    runs = expanded("method=lora,lorsu", "method.rank=8,16")
    made = [(p.config.method.name, p.config.method.rank) for p in runs]
    assert made == [("lora", 8), ("lora", 16), ("lorsu", 8), ("lorsu", 16)]
    assert {p.config.name for p in runs} == {"run"}


def test_no_sweep_is_one_run():
    (run,) = expanded("method.rank=16", "seed=3")
    assert (run.config.method.rank, run.config.seed) == (16, 3)


def test_seeds_need_no_ablation():
    assert [p.config.seed for p in expanded("seeds=[0,2]")] == [0, 2]


def test_a_group_can_be_the_axis():
    runs = expanded(
        "+ablation=rank",
        "ablation.key=method",
        "ablation.values=[frozen,lora]",
        "ablation.baseline=frozen",
        "seeds=[0]",
    )
    assert [p.config.method.name for p in runs] == ["frozen", "lora"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ablation.values=[]"], "at least one value"),
        (["ablation.values=7"], "at least one value"),
        (["ablation.baseline=7"], "not among the values"),
        (["ablation.key=method.rnak"], "Did you mean 'method.rank'"),
        (["method.rank=4"], r"ablation.values=\[4\]"),
        (["seed=4"], r"seeds=\[4\]"),
        (["seeds=[]"], "at least one integer"),
        (["ablation.values=[8,0]", "ablation.baseline=8"], "method.rank is 0"),
    ],
)
def test_mistakes_stop_the_whole_sweep(words, message):
    with pytest.raises(ConfigError, match=message):
        expanded("+ablation=rank", *words)


@pytest.mark.parametrize(
    "value", [1, 0, True, 0.1, 1e-5, "a b", "it's", "a,b", "x\\y", "1", "null"]
)
def test_values_survive_the_override_grammar(value):
    (override,) = OverridesParser.create().parse_overrides([f"key={quoted(value)}"])
    read_back = override.value()
    text = read_back.text if hasattr(read_back, "text") else read_back
    assert text == value
    assert type(text) is type(value)
