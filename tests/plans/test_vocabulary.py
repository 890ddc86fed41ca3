"""The table of words: what it names is there."""

import pytest
from omegaconf import OmegaConf

from ablate.config.folder import config_folder, group_files
from ablate.config.reading import flat_keys, read_run_config
from ablate.plans.base import REAL, TINY, Base, Settings, shipped_settings
from ablate.plans.match import match_metric, match_part
from ablate.plans.vocabulary import vocabulary
from ablate.plans.words import tokens_of
from ablate.results.columns import METRICS

TABLE = vocabulary()
FILES = {"data.path": "mix.json", "data.image_folder": "."}
# What a key is there with, where it is not with the defaults.
WITH = {
    "ewc-penalty": Settings({"method": "ewc"}),
    "scenes": shipped_settings("encoder"),
    "conversations": Settings({**TABLE.settings["instructions"], "tasks": "tiny"}, FILES),
}


@pytest.fixture(scope="module")
def base():
    return Base(Settings())


@pytest.mark.parametrize("name", TABLE.topics)
def test_keys_and_values_exist(base, name):
    topic = TABLE.topics[name]
    composed = base.compose(base.settings(topic).under(WITH.get(name, Settings())))
    config = OmegaConf.to_container(composed.config)
    assert topic.key in flat_keys(config)
    values = [topic.member(v, s) for v in topic.values for s in (TINY, REAL)]
    switches = [topic.member(v, TINY) for v in (*topic.present, *topic.absent)]
    if topic.key in composed.choices:
        assert {*values, *switches} <= {*group_files(topic.key, [config_folder()])}
        return
    assert {*topic.present, *topic.absent} <= {*topic.values} or topic.kind != "choice"
    for value in (*values, *switches):
        changed = composed.config.copy()
        OmegaConf.update(changed, topic.key, value)
        read_run_config(changed)


@pytest.mark.parametrize("name", TABLE.topics)
def test_every_phrase_names_its_topic(name):
    """A phrase that another topic takes as well is no name; ewc is a method besides."""
    for phrase in TABLE.topics[name].words:
        if "<" in phrase or "+" in phrase:
            continue
        part = match_part(phrase)
        assert name in part.fits, (phrase, part)
        assert part.doubt is None, (phrase, part)


def test_settings_of_real_models_compose():
    base = Base(Settings({"model": "llava-1.5-7b"}))
    for groups in TABLE.settings.values():
        composed = base.compose(Settings({**groups, "tasks": "tiny"}, FILES))
        assert read_run_config(composed.config).encoder is not None


def test_metrics_are_columns():
    assert {*TABLE.metrics} <= {*METRICS}
    for name in TABLE.metrics:
        assert match_metric(name, ()).fits[:1] == (name,)
    suites = {*group_files("tasks", [config_folder()])}
    assert {suite for pair in TABLE.suites.values() for suite in pair} <= suites


def test_methods_and_encoders_that_ship_have_words():
    for group in ("method", "encoder"):
        topics = [topic for topic in TABLE.topics.values() if topic.key == group]
        known = {t.member(v, s) for t in topics for v in t.values for s in (TINY, REAL)}
        # How the language model is trained on instructions, which no key varies.
        assert {*group_files(group, [config_folder()])} - {"full-l"} == known


def test_models_called_tiny_are_shipped_ones():
    models = group_files("model", [config_folder()])
    assert {*TABLE.tiny_models} == {name for name in models if name.startswith("tiny")}


def test_words_are_compared_without_their_forms():
    assert tokens_of("LoRSU's Low-Rank updates") == ("lorsu", "low", "rank", "update")
    assert tokens_of("losses, classes, MATRICES") == ("loss", "class", "matrice")
