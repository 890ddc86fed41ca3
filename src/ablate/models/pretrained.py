"""The parts of a model other than weights, read by transformers: never with the model's own code."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import logging as transformers_logging

from ablate.config.errors import ConfigError
from ablate.models.files import locate, read_config
from ablate.models.settings import find, read_object, readable

SAVE_AGAIN = "give the folder or hub id that it was saved in, or save it again."


def load_config(name: str, revision: str | None) -> PreTrainedConfig:
    """Read a model's configuration.

    Raises:
        ConfigError: If there is none, or transformers cannot use it.
    """
    read_config(name, revision)
    with readable(f"Model '{name}' has a config.json that cannot be used", SAVE_AGAIN):
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            locate(name), revision=revision or "main", trust_remote_code=False
        )
        if getattr(config, "quantization_config", None):
            raise ConfigError(
                f"The weights of model '{name}' are quantised; allowed: float32, float16 or bfloat16. "
                "Fix: give the model before quantisation."
            )
    return config


def load_tokenizer(name: str, revision: str | None) -> PreTrainedTokenizerBase:
    """Load a model's tokenizer.

    Raises:
        ConfigError: If it has none, or a damaged one.
    """
    with readable(
        f"Model '{name}' has no tokenizer that can be read",
        "save the tokenizer beside the model again.",
    ):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            locate(name), revision=revision or "main", trust_remote_code=False
        )
        if not tokenizer("what is this?", add_special_tokens=False)["input_ids"]:
            raise ValueError("its vocabulary is empty")
    return tokenizer


def load_image_processor(name: str, revision: str | None) -> BaseImageProcessor:
    """Load a model's PIL preprocessing.

    Raises:
        ConfigError: If it has none, or a damaged one.
    """
    with readable(
        f"Vision model '{name}' has no image preprocessing that can be read",
        "put a preprocessor_config.json beside its config.json.",
    ):
        processor: BaseImageProcessor = AutoImageProcessor.from_pretrained(
            locate(name), revision=revision or "main", backend="pil", trust_remote_code=False
        )
    return processor


def check_generation(name: str, revision: str | None) -> None:
    """Check how a model says that it generates, which is read when it is loaded.

    Raises:
        ConfigError: If generation_config.json holds what transformers cannot use.
    """
    file = find(locate(name), "generation_config.json", revision)
    if file is not None:
        with (
            quiet_transformers(),
            readable(f"Model '{name}' has a damaged generation_config.json", SAVE_AGAIN),
        ):
            GenerationConfig.from_dict(read_object(file))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' bars and load reports: what they say is checked here."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with torch.no_grad():
        try:
            yield
        finally:
            transformers_logging.set_verbosity(verbosity)
            transformers_logging.enable_progress_bar()
