"""The prompt of a user's own model, taken from its chat template."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import LlavaProcessor, PreTrainedTokenizerBase

from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig
from ablate.models.files import locate
from ablate.models.language import IMAGE_TOKEN
from ablate.models.pretrained import load_config, load_tokenizer, quiet_transformers
from ablate.models.settings import one_line, readable

_QUESTION = "{question}"
_FIRST, _ANSWER = "What is this?", "It is this."
_FIX = "Fix: set model.prompt, with <image> and {question} in it, and model.turn, with {question} in it."


def named(model: ModelConfig) -> ModelConfig:
    """Name a model that has no name after its folder, or the last part of its hub id."""
    given = model.llava or model.language or "model"
    name = Path(given).resolve().name if Path(given).is_dir() else given.rsplit("/", 1)[-1]
    return replace(model, name=model.name or name or given)


def resolved(model: ModelConfig) -> ModelConfig:
    """Fill in what a configuration leaves to the model: its name, its prompt and its turn.

    Raises:
        ConfigError: If the prompt is left to a chat template that there is not, or that cannot be used.
    """
    model = named(model)
    if model.prompt is not None and model.turn is not None:
        return model
    prompt, turn = _from_template(model)
    return replace(model, prompt=model.prompt or prompt, turn=model.turn or turn)


@lru_cache
def _from_template(model: ModelConfig) -> tuple[str, str]:
    """Render a model's chat template around `<image>` and `{question}`.

    Returns:
        The conversation up to the first answer, and what puts a later question once an answer and the end token are
        there. The tokenizer adds the token that begins a text, so a template's own is left out.
    """
    name = str(model.language or model.llava)
    config = load_config(name, model.revision)
    tokenizer = load_tokenizer(name, model.revision)
    template = _template(name, model.revision, tokenizer)
    image = IMAGE_TOKEN
    if model.language is None:
        names = {i: token for token, i in tokenizer.get_vocab().items()}
        image = names.get(config.image_token_id, IMAGE_TOKEN)
    failures = []
    for first, later, answer in _contents(image):
        opening = [{"role": "user", "content": first(_QUESTION)}]
        said = [
            {"role": "user", "content": first(_FIRST)},
            {"role": "assistant", "content": answer(_ANSWER)},
            {"role": "user", "content": later(_QUESTION)},
        ]
        try:
            prompt, whole = (_render(tokenizer, template, each) for each in (opening, said))
        except ConfigError as error:
            failures.append(str(error))
            continue
        turn = whole.partition(_ANSWER)[2].removeprefix(str(tokenizer.eos_token or "")).lstrip(" ")
        counts = prompt.count(image), prompt.count(_QUESTION), turn.count(_QUESTION)
        if counts == (1, 1, 1) and prompt.index(image) < prompt.index(_QUESTION):
            return _without_start(prompt, tokenizer).replace(image, IMAGE_TOKEN), turn
    reason = "; ".join(failures) or "it does not put one image and then one question into a prompt"
    raise ConfigError(f"The chat template of model '{name}' cannot be used: {reason}. {_FIX}")


def _contents(image: str) -> Iterator[tuple[Any, Any, Any]]:
    """List how templates want what is said: as parts, or as plain text with the image in it.

    Yields:
        What makes the content of the first question, of a later one and of an answer.
    """

    def parts(text: str) -> list[dict[str, str]]:
        return [{"type": "text", "text": text}]

    yield lambda text: [{"type": "image"}, *parts(text)], parts, parts
    yield lambda text: f"{image}\n{text}", str, str


def _template(name: str, revision: str | None, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a model's chat template: of its processor, or else of its tokenizer."""
    with readable(f"Model '{name}' has a damaged chat template", "save its processor again."):
        settings, _ = LlavaProcessor.get_processor_dict(locate(name), revision=revision or "main")
    template = settings.get("chat_template") or tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not template:
        raise ConfigError(f"Model '{name}' has no chat template to take its prompt from. {_FIX}")
    if "strftime_now" in str(template):
        raise ConfigError(
            f"The chat template of model '{name}' writes today's date, so the same run would have another prompt "
            f"tomorrow. {_FIX}"
        )
    return str(template)


def _render(tokenizer: PreTrainedTokenizerBase, template: str, messages: list[Any]) -> str:
    """Render a conversation up to where the next answer begins, in transformers' own sandbox.

    Raises:
        ConfigError: If the template fails, whatever it tried to do.
    """
    try:
        with quiet_transformers():
            return str(
                tokenizer.apply_chat_template(
                    messages, chat_template=template, tokenize=False, add_generation_prompt=True
                )
            )
    except Exception as error:  # a template is a program of somebody else's
        raise ConfigError(one_line(error)) from error


def _without_start(prompt: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Leave out the token that begins a text where the tokenizer adds it anyway."""
    start = tokenizer.bos_token
    if start and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]:
        return prompt.removeprefix(str(start))
    return prompt
