"""Folders in the place of hub models that are not on disk: their sizes as shipped, a tokenizer that counts."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.utils.hub import cached_file

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder
from ablate.config.schema import EncoderConfig, ModelConfig
from ablate.models.files import locate

# A word of up to six letters with the space before it, as many letters of a longer one, any other character alone.
_PIECE = r" ?\p{L}{1,6}|\p{N}|[^\s\p{L}\p{N}]|\s"
TOKENS = "tokens counted by one for six letters"


@contextmanager
def stand_ins() -> Iterator["StandIns"]:
    """Keep the folders for the length of the block; what is wrong there is said of the models by their names."""
    with tempfile.TemporaryDirectory() as folder:
        made = StandIns(Path(folder))
        try:
            yield made
        except ConfigError as error:
            raise ConfigError(made.named(str(error))) from error


class StandIns:
    """Puts folders of its own in the place of shipped hub ids whose files are not here.

    Attributes:
        used: The hub ids that were replaced.
    """

    def __init__(self, folder: Path) -> None:
        """Write into `folder`, an empty one."""
        self._folder = folder
        self.used: set[str] = set()

    def named(self, text: str) -> str:
        """Put names in the place of folders."""
        for name in self.used:
            text = text.replace(str(self._place_of(name)), name)
        return text

    def model(self, model: ModelConfig) -> ModelConfig:
        """Return a model whose parts are on disk, as far as they are known."""

        def place(name: str | None, revision: str | None) -> str | None:
            return None if name is None else self._place(name, revision)

        return replace(
            model,
            llava=place(model.llava, model.revision),
            clip=place(model.clip, model.clip_revision),
            language=place(model.language, model.revision),
        )

    def encoder(self, encoder: EncoderConfig | None) -> EncoderConfig | None:
        """Return an encoder whose parts are on disk, as far as they are known."""
        if encoder is None:
            return None
        parts = tuple(
            replace(part, source=self._place(part.source, part.revision)) for part in encoder.parts
        )
        return replace(encoder, parts=parts)

    def _place(self, name: str, revision: str | None) -> str:
        known = architectures().get(name)
        if known is None or _is_here(name, revision):
            return name
        place = self._place_of(name)
        if name not in self.used:
            self.used.add(name)
            write_stand_in(known, place)
        return str(place)

    def _place_of(self, name: str) -> Path:
        return self._folder / re.sub(r"\W", "-", name)


@lru_cache
def architectures() -> dict[str, dict[str, Any]]:
    """Read the sizes of hub models, by hub id: `config` and `images`, as their files have them."""
    text = (config_folder() / "architectures.yaml").read_text(encoding="utf-8")
    known: dict[str, dict[str, Any]] = yaml.safe_load(text)["models"]
    return known


def _is_here(name: str, revision: str | None) -> bool:
    """Tell whether a folder or the hub's cache holds a model's settings; nothing is fetched."""
    if Path(locate(name)).is_dir():
        return True
    reads_text = "text_config" in architectures()[name]["config"]
    needed = ["config.json", "tokenizer_config.json"] if reads_text else ["config.json"]
    try:
        return all(
            cached_file(name, file, revision=revision, local_files_only=True) for file in needed
        )
    except OSError:
        return False


def write_stand_in(known: dict[str, Any], place: Path) -> None:
    """Write settings as transformers reads them, and a file of weights with none in it."""
    place.mkdir()
    for name, content in (("config", known["config"]), ("preprocessor_config", known["images"])):
        (place / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    save_file({}, place / "model.safetensors")
    if "text_config" in known["config"]:
        config = known["config"]
        image = config.get("image_token_index")
        longest = int(config["text_config"]["max_position_embeddings"])
        _tokenizer(image, longest).save_pretrained(place)


def _tokenizer(image_token_id: int | None, longest: int) -> PreTrainedTokenizerFast:
    """Make a tokenizer that takes English for about as many tokens as another one does, whichever they are."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    if image_token_id is not None:
        vocabulary["<image>"] = image_token_id
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.add_special_tokens(list(vocabulary))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A" if image_token_id is not None else "<s> $A </s>",
        special_tokens=[("<s>", 1), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        model_max_length=longest,
        model_input_names=["input_ids", "attention_mask"],
    )
