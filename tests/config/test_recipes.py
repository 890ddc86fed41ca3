"""Which recipe a run gets: that of its model, by what the data are, unless the command line names one."""

import itertools

import pytest
from hydra import compose, initialize_config_dir
from tests.config.places import places

from ablate.config.folder import config_folder, group_files
from ablate.config.reading import read_run_config
from ablate.config.schema import TrainConfig

# The data sets of the tiny model's own world; anything else is further from it.
OWN_WORLD = ("shapes", "shapes-source", "shapes-instruct", "llava-instruct")
DATA = tuple(group_files("data", [config_folder()]))


def recipe(*overrides: str) -> TrainConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return read_run_config(compose("config", overrides=list(overrides))).train


@pytest.fixture(scope="module")
def named() -> dict[str, TrainConfig]:
    recipes = {name: recipe(f"train={name}") for name in ("paper", "tiny", "tiny-real")}
    assert len({repr(one) for one in recipes.values()}) == 3
    return recipes


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("model", ["tiny", "llava-1.5-7b"])
def test_the_recipe_follows_the_model_and_the_data_in_any_order(model, data, named):
    expected = "paper"
    if model == "tiny":
        expected = "tiny" if data in OWN_WORLD else "tiny-real"
    for words in itertools.permutations([f"model={model}", f"data={data}"]):
        assert recipe(*words, *places(data)) == named[expected]


@pytest.mark.parametrize("data", ["shapes", "digits", "imagefolder"])
@pytest.mark.parametrize("train", ["paper", "tiny", "tiny-real"])
def test_a_recipe_on_the_command_line_wins(train, data, named):
    words = [f"train={train}", f"data={data}", *places(data)]
    for order in (words, words[::-1]):
        assert recipe(*order) == named[train]


def test_controls_do_not_choose_the_recipe(named):
    assert recipe("+data@controls.other=digits") == named["tiny"]
    assert recipe("data=digits", "data@controls.source=shapes") == named["tiny-real"]


def test_ablations_change_what_the_recipe_says():
    for words in (["+ablation=loss", "data=digits"], ["data=digits", "+ablation=loss"]):
        found = recipe(*words)
        assert (found.learning_rate, found.epochs) == (3e-4, recipe("train=tiny-real").epochs)
    assert recipe("+ablation=rank", "data=digits") == recipe("train=tiny-real")
    assert recipe("+ablation=freeze") == recipe("train=tiny-instruct")
    assert recipe("data=digits", "train.epochs=3").epochs == 3


def test_data_of_ones_own_count_as_real(tmp_path, named):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "birds.yaml").write_text("defaults: [imagefolder]\npath: .\n")
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        found = compose("config", overrides=["data=birds", f"hydra.searchpath=[file://{tmp_path}]"])
    assert read_run_config(found).train == named["tiny-real"]
