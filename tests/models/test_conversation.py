"""A user's own model gets the prompt of its own chat template, or is refused."""

import json

import pytest
from tests.conftest import read_results
from tests.models import damage
from tests.models.encoders import small

from ablate.cli.run import run
from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig
from ablate.models.conversation import resolved
from ablate.models.files import model_source
from ablate.models.loading import load_model

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_SYSTEM = "{{ bos_token }}A chat between a curious human and an assistant. " + damage.TEMPLATE


def own(folder=None, **values):
    given = {"name": None, "llava": str(folder), "clip": None, "language": None, **small.AS_IS}
    return ModelConfig(**{**given, "scoring": "letters", "prompt": None, "turn": None, **values})


@pytest.mark.parametrize("place", ["jinja", "json", "processor", "tokenizer"])
def test_the_words_of_llava_are_the_published_ones(place, model_folder, tmp_path):
    change = {
        "jinja": damage.written("chat_template.jinja", damage.TEMPLATE),
        "json": damage.written(
            "chat_template.json", json.dumps({"chat_template": damage.TEMPLATE})
        ),
        "processor": damage.with_values("processor_config.json", chat_template=damage.TEMPLATE),
        "tokenizer": damage.with_values("tokenizer_config.json", chat_template=damage.TEMPLATE),
    }[place]
    model = resolved(own(damage.copy(model_folder, tmp_path / "my-llava", change)))
    assert model.name == "my-llava"
    assert model.prompt == "USER: <image>\n{question} ASSISTANT:"
    assert model.turn == "USER: {question} ASSISTANT:"


def test_a_system_line_is_kept_and_a_text_begins_once(model_folder, tmp_path):
    change = damage.written("chat_template.jinja", WITH_SYSTEM)
    model = own(damage.copy(model_folder, tmp_path / "m", change))
    words = "A chat between a curious human and an assistant. USER: <image>\n{question} ASSISTANT:"
    assert resolved(model).prompt == words
    vlm = load_model(model, small.FP32)
    ids = vlm.prompt_ids("what?")
    assert ids.count(vlm.tokenizer.bos_token_id) == 1
    assert ids.count(vlm.llava.config.image_token_id) == vlm.n_image_tokens
    plain = vlm.tokenizer.decode(vlm.prompt_ids("what?", with_image=False))
    assert plain == "<s>A chat between a curious human and an assistant. USER: what? ASSISTANT:"


def test_a_language_model_is_asked_in_plain_text(tmp_path):
    small.language(tmp_path)
    damage.written("chat_template.jinja", CHATML)(tmp_path)
    model = resolved(own(llava=None, language=str(tmp_path)))
    assert model.prompt == (
        "<|im_start|>user\n<image>\n{question}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert model.turn == (
        "<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_end_token_of_an_answer_is_written_once(tmp_path):
    small.language(tmp_path)
    damage.written("chat_template.jinja", CHATML.replace("<|im_end|>", "</s>"))(tmp_path)
    turn = resolved(own(llava=None, language=str(tmp_path))).turn
    assert turn == "\n<|im_start|>user\n{question}</s>\n<|im_start|>assistant\n"


def test_what_is_given_is_kept(model_folder):
    given = {"name": "mine", "prompt": "<image> {question}", "turn": "{question}"}
    model = resolved(own(model_folder, **given))
    assert (model.name, model.prompt, model.turn) == tuple(given.values())


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "has no chat template to take its prompt from"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "access to attribute '__class__'"),
        ("{{ raise_exception('no users') }}", "no users"),
        ("{% for %}", "cannot be used"),
        ("{{ messages.append(1) }}", "cannot be used"),
        ("the same for all", "does not put one image and then one question into a prompt"),
        ("{{ strftime_now('%d') }}", "writes today's date"),
    ],
)
def test_a_template_that_cannot_be_used(template, message, model_folder, tmp_path):
    folder = damage.copy(model_folder, tmp_path / "m")
    if template is not None:
        damage.written("chat_template.jinja", template)(folder)
    with pytest.raises(ConfigError) as caught:
        resolved(own(folder))
    assert message in str(caught.value)
    assert "Fix: set model.prompt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_a_template_is_a_usage_error(model_folder, tmp_path, capsys):
    words = ["model=llava", f"model.llava={model_folder}", "data=digits"]
    assert run([*words, f"output_dir={tmp_path / 'outputs'}"]) == 2
    assert "has no chat template" in capsys.readouterr().err
    assert run(["model=llava", "data=digits", f"output_dir={tmp_path / 'outputs'}"]) == 2
    assert "model.llava has no value" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


def test_a_run_keeps_the_words_it_asked_in(model_folder, tmp_path):
    import yaml

    change = damage.written("chat_template.jinja", damage.TEMPLATE)
    folder = damage.copy(model_folder, tmp_path / "my-llava", change)
    words = ["model=llava", f"model.llava={folder}", "data=digits", "~data@controls.source"]
    sizes = ["data.shots=2", "data.test_items=20", "train.epochs=1"]
    assert run([*words, *sizes, f"output_dir={tmp_path / 'outputs'}"]) == 0
    row = read_results(tmp_path / "outputs" / "run").iloc[0]
    assert row["model"] == "my-llava"
    saved = tmp_path / "outputs" / "run" / "runs" / row["run_id"] / "config.yaml"
    config = yaml.safe_load(saved.read_text())
    assert config["model"]["prompt"] == "USER: <image>\n{question} ASSISTANT:"
    assert config["data"]["scoring"] == "letters"
    assert config["train"]["learning_rate"] == 1e-5


def test_where_a_model_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert model_source(own("mine")) == str(tmp_path / "mine")
    assert model_source(own("tiny:llava")) == "tiny:llava"
    assert model_source(own("org/name")) == "org/name"
    assert model_source(own("org/name", revision="v2")) == "org/name@v2"
    assert model_source(own(llava=None, language="org/lm")) == "org/lm"
