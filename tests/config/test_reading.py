"""The config boundary: what is refused, and in which words."""

import pytest
from hydra import compose, initialize_config_dir
from tests.config.places import places

from ablate.config.errors import ConfigError
from ablate.config.folder import GROUPS, config_folder, group_files
from ablate.config.reading import read_run_config, to_plain
from ablate.config.schema import LorsuMethod, RunConfig

# What a shipped model leaves for the user to fill in.
PATHS = {
    "llava": ["model.llava=my/llava"],
    "language": ["model.language=my/language-model"],
    # Four of the ten sets are on no hub.
    "protocol": [
        f"controls.{name}.path=." for name in ("tsi", "counteranimal", "dalle", "hateful-memes")
    ],
}
# How a group is chosen that is no key of the run.
WORDS = {
    "ablation": "+ablation",
    "protocol": "+protocol",
    "conversation": "conversation@model",
}


def read(*overrides: str) -> RunConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return read_run_config(compose("config", overrides=list(overrides)))


def test_defaults_are_a_lorsu_run_of_the_tiny_model():
    run = read()
    assert isinstance(run.method, LorsuMethod)
    assert (run.model.name, run.loss, run.name, run.seed) == ("tiny", "lm", "run", 0)
    assert run.method.alpha == run.method.rank == 64


def test_the_model_brings_its_recipe_and_the_command_line_wins():
    assert read().train != read("model=llava-1.5-7b").train
    assert read("train=paper").train == read("model=llava-1.5-7b").train


@pytest.mark.parametrize("group", sorted(set(GROUPS.values()) - {"encoder", "tasks", "task"}))
def test_every_shipped_config_composes(group):
    choices = group_files(group, [config_folder()])
    assert choices
    for choice in choices:
        run = read(
            f"{WORDS.get(group, group)}={choice}",
            *(places(choice) if group == "data" else PATHS.get(group, PATHS.get(choice, []))),
        )
        assert to_plain(run)["seed"] == 0


@pytest.mark.parametrize("choice", sorted(group_files("ablation", [config_folder()])))
def test_every_shipped_ablation_is_consistent(choice):
    ablation = read(f"+ablation={choice}").ablation
    assert ablation is not None
    assert ablation.name == choice
    assert ablation.baseline in ablation.values
    assert ablation.question.endswith("?")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("method.rank=0", ["method.rank is 0", "greater than 0"]),
        ("method.rank=-4", ["method.rank is -4"]),
        ("method.rank=eight", ["method.rank is 'eight'", "whole number"]),
        ("method.rank=8.5", ["method.rank is 8.5"]),
        ("seed=2147483648", ["seed is 2147483648", "less than 2147483648"]),
        ("seeds=[0,18446744073709551616]", ["seeds.1 is 18446744073709551616", "less than"]),
        ("data.shots=99999999999", ["data.shots is 99999999999", "less than"]),
        ("train.batch_size=1000000000000", ["train.batch_size is 1000000000000", "less than"]),
        ("method.rank=65537", ["method.rank is 65537", "less than or equal to 65536"]),
        ("method.sparsity=-0.1", ["method.sparsity is -0.1", "0"]),
        ("method.sparsity=1.5", ["method.sparsity is 1.5", "1"]),
        ("train.learning_rate=-1e-3", ["train.learning_rate is -0.001"]),
        ("train.learning_rate=.nan", ["train.learning_rate"]),
        ("loss=cilp", ["'cilp'", "Did you mean 'clip'", "'lm'"]),
        ("+method.rnak=8", ["Unknown key 'method.rnak'", "Did you mean 'method.rank'"]),
        ("+method._target_=os.system", ["Unknown key 'method._target_'"]),
        ("data=imagefolder", ["data.path has no value", "data.path=..."]),
        ("name=a/b", ["name is 'a/b'"]),
        ("force=1", ["force is 1", "true or false"]),
        ("method.name=lorsuu", ["Did you mean 'lorsu'"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(override, words):
    with pytest.raises(ConfigError) as caught:
        read(override)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_a_list_of_one_wrong_item_is_not_said_to_be_short():
    with pytest.raises(ConfigError) as caught:
        read("seeds=['1']")
    assert "seeds.0 is '1'" in str(caught.value)
    assert "at least one item" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "optimizer", "weight_decay"),
    [
        ([], "adamw", 0.01),
        (["loss=clip"], "adam", 0.0),
        (["loss=clip", "train.optimizer=adamw"], "adamw", 0.01),
        (["train.optimizer=adam"], "adam", 0.0),
        (["train=llava-instruct"], "adamw", 0.0),
    ],
)
def test_the_optimiser_follows_the_loss_and_its_decay_the_optimiser(words, optimizer, weight_decay):
    train = read(*words).train
    assert (train.optimizer, train.weight_decay) == (optimizer, weight_decay)


def test_a_stage_before_training_follows_the_loss_too():
    align = read("train@align=tiny-align").align
    assert align is not None
    assert (align.optimizer, align.weight_decay) == ("adamw", 0.01)


def test_a_choice_without_the_given_key_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    recipe = "defaults: [tiny, _self_]\noptimizer: ${choose:${loss},{clip:adam}}\n"
    (tmp_path / "train" / "own.yaml").write_text(recipe)
    words = [f"hydra.searchpath=[file://{tmp_path}]", "train=own"]
    assert read(*words, "loss=clip").train.optimizer == "adam"
    with pytest.raises(ConfigError, match=r"train\.optimizer is None"):
        read(*words)


def test_a_mistake_that_others_follow_is_told_once():
    with pytest.raises(ConfigError) as caught:
        read("method.rank=0")
    assert "alpha" not in str(caught.value)


def test_all_mistakes_are_told_together():
    with pytest.raises(ConfigError) as caught:
        read("method.rank=0", "train.epochs=0")
    assert "method.rank" in str(caught.value)
    assert "train.epochs" in str(caught.value)
