"""Instruction data at the config boundary."""

import pytest
from hydra import compose, initialize_config_dir

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder
from ablate.config.reading import read_plain, read_run_config, to_plain
from ablate.config.schema import InstructionDataConfig, LlavaJsonData, ShapesInstructData

FILES = ("data.path=mix.json", "data.image_folder=images")


def read(*overrides: str) -> InstructionDataConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        run = read_run_config(compose("config", overrides=list(overrides)))
    assert read_plain(to_plain(run)) == run
    assert isinstance(run.data, InstructionDataConfig)
    return run.data


def test_both_kinds_are_read():
    shapes = read("data=shapes-instruct")
    assert isinstance(shapes, ShapesInstructData)
    assert set(shapes.styles) == {"filled", "textured"}
    assert shapes.questions["place"] > 0
    files = read("data=llava-instruct", *FILES, "data.conversations=10")
    assert isinstance(files, LlavaJsonData)
    assert (files.path, files.conversations) == ("mix.json", 10)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=shapes-instruct", "data.scenes=0"], ["data.scenes is 0"]),
        (["data=shapes-instruct", "data.scenes=1048577"], ["data.scenes is 1048577", "1048576"]),
        (["data=shapes-instruct", "data.text_share=1"], ["data.text_share is 1", "less than 1"]),
        (["data=shapes-instruct", "data.objects=[1,5]"], ["data.objects.1 is 5", "4"]),
        (["data=shapes-instruct", "data.styles=[]"], ["data.styles", "at least one item"]),
        (["data=shapes-instruct", "data.questions.shape=-1"], ["data.questions.shape is -1"]),
        (["data=shapes-instruct", "+data.shots=5"], ["Unknown key 'data.shots'"]),
        (["data=shapes-instruct", "data.kind=shapes-instruk"], ["Did you mean 'shapes-instruct'"]),
        (["data=llava-instruct", FILES[1]], ["data.path has no value", "data.path=..."]),
        (["data=llava-instruct", FILES[0]], ["data.image_folder has no value"]),
        (["data=llava-instruct", *FILES, "data.conversations=0"], ["data.conversations is 0"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(overrides, words):
    with pytest.raises(ConfigError) as caught:
        read(*overrides)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text
