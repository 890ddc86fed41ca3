"""Any tuner of peft, by configuration: a new one takes one YAML file."""

import copy
from typing import Any

import torch
from peft import PeftConfig

from ablate.config.errors import ConfigError
from ablate.config.schema import PeftTunerMethod
from ablate.methods.base import Session, Setting
from ablate.methods.peft_method import TargetedPeftMethod
from ablate.methods.peft_types import (
    check_options,
    config_class,
    first_line,
    has_progress_bar,
    has_rank,
    needs_content,
    own_compilers,
    quiet,
    seed_fields,
)
from ablate.methods.targets import target_pattern
from ablate.models.vlm import VisionLanguageModel


class PeftTuner(TargetedPeftMethod):
    """A method of peft on linear layers of any part of the model, with peft's own options."""

    def __init__(self, config: PeftTunerMethod) -> None:
        super().__init__(config)
        self._config = config

    def check(self, key: str = "method") -> None:
        """Check that peft has such a method, with such options and with a rank, if one is given."""
        super().check(key)
        config, kind = self._config, config_class(self._config.peft_type, key)
        if config.rank is not None and not has_rank(kind):
            raise ConfigError(
                f"{key}.rank is {config.rank}, but {config.peft_type} has no rank. Fix: {key}.rank=null."
            )
        check_options(kind, self._options, key)
        try:
            with quiet():
                kind(**self._arguments(seed=0), target_modules=".*")
        except (TypeError, ValueError) as error:
            raise self._refused(error, key) from error

    def check_model(self, setting: Setting) -> None:
        """Check that peft can put the adapter around the layers, whose shapes may not suit an option."""
        super().check_model(setting)
        vlm = setting.vlm
        # Texts are not shapes.
        kept = {id(part): part for part in (vlm.tokenizer, vlm.clip_tokenizer, vlm.image_processor)}
        try:
            with quiet(), torch.device("meta"):
                self.make_trainable(copy.deepcopy(vlm, kept), Session.without_data(seed=0))
        except Exception as error:
            # Some tuners start from the weights, which are not there; these are seen when they are attached.
            if needs_content(error):
                return
            raise self._refused(error, setting.key) from error
        finally:
            self._wrapped = None

    def adapter_config(self, vlm: VisionLanguageModel, session: Session) -> PeftConfig:
        """Describe the adapter; all that it draws is drawn at the session's seed."""
        torch.manual_seed(session.seed)
        kind = config_class(self._config.peft_type)
        pattern = target_pattern(vlm, self._config.target_modules)
        described: PeftConfig = kind(**self._arguments(session.seed), target_modules=pattern)
        return described

    def make_trainable(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Put the adapter around the model's layers; not every tuner trains in float32 by itself."""
        with own_compilers():
            super().make_trainable(vlm, session)
        for parameter in vlm.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()

    @property
    def _options(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self._config.options.items()
        }

    def _arguments(self, seed: int) -> dict[str, Any]:
        """Return what peft's configuration is made of, but for the layers."""
        kind = config_class(self._config.peft_type)
        arguments: dict[str, Any] = dict.fromkeys(seed_fields(kind), seed)
        if has_progress_bar(kind):
            arguments["progressbar"] = False
        if self._config.rank is not None:
            arguments["r"] = self._config.rank
        return arguments | self._options

    def _refused(self, error: Exception, key: str) -> ConfigError:
        return ConfigError(
            f"peft refuses {key} '{self._config.name}' ({self._config.peft_type}): {first_line(error)}. "
            f"Fix: change {key}.options or {key}.rank."
        )
