"""What does not fit together in a configuration, found before anything is loaded."""

from torch import nn

from ablate.config.errors import ConfigError
from ablate.config.schema import (
    FullLanguageMethod,
    InstructionDataConfig,
    LayerNormMethod,
    LoraMethod,
    LorsuLMethod,
    LorsuMethod,
    RunConfig,
    SpuMethod,
)
from ablate.data.types import InstructionData
from ablate.methods.targets import check_targets
from ablate.models.encoders.check import encoder_facts
from ablate.models.encoders.skeleton import encoder_skeleton
from ablate.models.kinds import check_language, check_pair, check_toy, n_attention_heads
from ablate.models.pretrained import load_tokenizer

_TOKENS_AT_A_SEAM = 2
_LANGUAGE_METHODS = "frozen, lora-l, full-l"


def check_recipe(config: RunConfig) -> None:
    """Check that data, encoder, loss and language method belong to one recipe.

    Raises:
        ConfigError: If not.
    """
    if not isinstance(config.data, InstructionDataConfig):
        if config.encoder is not None:
            raise ConfigError(
                f"encoder is '{config.encoder.name}', whose projector has to be trained first, but data "
                f"'{config.data.name}' are no instructions; allowed: shapes-instruct, llava-instruct. "
                "Fix: data=shapes-instruct."
            )
        _refuse(config, "language", config.language)
        _refuse(config, "align", config.align)
        return
    if config.controls:
        given = next(iter(config.controls))
        raise ConfigError(
            f"controls.{given} is given, but a run on data '{config.data.name}' has no state before training to "
            f"compare with; it is measured by its tasks. Fix: ~data@controls.{given}."
        )
    if config.language is None:
        raise ConfigError(
            f"language is null, but data '{config.data.name}' train the language model too; "
            f"allowed: {_LANGUAGE_METHODS}. Fix: method@language=full-l."
        )
    if not _stays_in(config.language, "language_model"):
        raise ConfigError(
            f"language is '{config.language.name}', which trains other parts than the language model; "
            f"allowed: {_LANGUAGE_METHODS}. Fix: method@language=full-l."
        )
    if not _stays_in(config.method, "encoder"):
        raise ConfigError(
            f"method is '{config.method.name}', which trains more than the image encoder; where the data "
            f"are instructions, `language` says what is trained of the language model. Fix: method=lora."
        )
    if config.loss != "lm":
        raise ConfigError(
            f"loss is '{config.loss}', but instructions have no classes to match; allowed: lm. Fix: loss=lm."
        )
    if config.tasks is None:
        raise ConfigError(
            f"tasks is null, but a run on data '{config.data.name}' is measured by a suite of tasks alone. "
            "Fix: tasks=tiny, or one of `ablate list tasks`."
        )


def check_training(config: RunConfig) -> None:
    """Check that every training recipe does what it says.

    Raises:
        ConfigError: If batches of the contrastive loss are to be accumulated, or Adam is to decay weights.
    """
    for key, recipe in (("train", config.train), ("align", config.align)):
        if recipe is None:
            continue
        if config.loss == "clip" and recipe.accumulation_steps > 1:
            whole = recipe.batch_size * recipe.accumulation_steps
            raise ConfigError(
                f"{key}.accumulation_steps is {recipe.accumulation_steps}, but loss=clip tells each image from the "
                "others of its own forward pass, so accumulated batches are no larger batch; allowed: 1. "
                f"Fix: {key}.accumulation_steps=1 {key}.batch_size={whole}, or loss=lm."
            )
        if recipe.optimizer == "adam" and recipe.weight_decay:
            raise ConfigError(
                f"{key}.weight_decay is {recipe.weight_decay}, but {key}.optimizer is 'adam', which decays "
                f"no weights; allowed: 0. Fix: {key}.optimizer=adamw, or {key}.weight_decay=0."
            )


def _refuse(config: RunConfig, key: str, given: object) -> None:
    if given is not None:
        raise ConfigError(
            f"{key} is given, but data '{config.data.name}' are no instructions and have no such stage. "
            f"Fix: {key}=null, or data=shapes-instruct."
        )


def _stays_in(method: object, part: str) -> bool:
    """Tell whether a method trains nothing outside a part of the model."""
    if isinstance(method, LoraMethod):
        targets = method.target_modules
        used = {
            "encoder": targets.encoder,
            "projector": targets.projector,
            "language_model": targets.language_model,
        }
        return not any(layers for name, layers in used.items() if name != part)
    if isinstance(method, LorsuLMethod | FullLanguageMethod):
        return part == "language_model"
    return part == "encoder" or getattr(method, "name", None) == "frozen"


def check_model(config: RunConfig) -> None:
    """Check that there is a model to train: a LLaVA, or a language model with an encoder.

    Raises:
        ConfigError: If something of it is missing, or its parts do not belong together.
    """
    check_toy(config.model)
    if config.encoder is not None:
        check_language(config.model)
        encoder_facts(config.encoder)
        if not config.encoder.parts and config.method.name != "frozen":
            raise ConfigError(
                f"method is '{config.method.name}', but encoder '{config.encoder.name}' has nothing to train; "
                "allowed: frozen. Fix: method=frozen."
            )
        return
    if config.model.llava is None:
        raise ConfigError(
            f"Model '{config.model.name}' has no image encoder of its own. "
            "Fix: encoder=<one of `ablate list encoders`> with data=shapes-instruct, or model=tiny."
        )
    if config.model.clip is None and config.loss == "clip":
        raise ConfigError(
            f"loss is 'clip', but model '{config.model.name}' has no CLIP; allowed: lm. "
            "Fix: loss=lm, or model.clip=<the CLIP of its image encoder>."
        )
    if config.model.language is not None:
        raise ConfigError(
            f"model.language is '{config.model.language}', but without an encoder it is model.llava that is asked. "
            "Fix: model.language=null, or encoder=<one of `ablate list encoders`>."
        )
    check_pair(config.model)


def check_attention(config: RunConfig) -> None:
    """Check a method that chooses heads or blocks against the image encoder.

    Raises:
        ConfigError: If the encoder has no heads, more than one stack of blocks, or too few heads.
    """
    if not isinstance(config.method, LorsuMethod | SpuMethod):
        return
    encoder = config.model.name if config.encoder is None else config.encoder.name
    if config.encoder is None:
        n_heads = n_attention_heads(config.model)
    else:
        facts = encoder_facts(config.encoder)
        if facts.n_heads is None:
            kind = "none" if facts.n_attention_stacks == 0 else str(facts.n_attention_stacks)
            raise ConfigError(
                f"method is '{config.method.name}', which needs one stack of attention blocks, but encoder "
                f"'{encoder}' has {kind}. Fix: method=full, or encoder=tiny-siglip."
            )
        n_heads = facts.n_heads
    if isinstance(config.method, LorsuMethod) and config.method.top_k_heads > n_heads:
        raise ConfigError(
            f"method.top_k_heads is {config.method.top_k_heads}, but the image encoder of "
            f"'{encoder}' has {n_heads} heads; allowed: 0 to {n_heads}. "
            f"Fix: method.top_k_heads={n_heads}."
        )


def check_layers(config: RunConfig) -> None:
    """Check that the image encoder has the kind of layers that a method trains there.

    Raises:
        ConfigError: If it has none, or none of a given name.
    """
    method = config.method
    if not isinstance(method, LoraMethod | LayerNormMethod):
        return
    encoder = encoder_skeleton(config.model, config.encoder)
    if isinstance(method, LoraMethod):
        check_targets(encoder, "encoder", method.target_modules.encoder)
    elif not any(isinstance(module, nn.LayerNorm) for module in encoder.modules()):
        name = config.model.name if config.encoder is None else config.encoder.name
        raise ConfigError(
            f"method is 'layernorm', but the image encoder of '{name}' has no LayerNorm. "
            "Fix: method=full, or an encoder of attention blocks."
        )


def check_names(config: RunConfig) -> None:
    """Refuse two data sets of one name: their rows could not be told apart.

    Raises:
        ConfigError: If two have the same.
    """
    for key, control in config.controls.items():
        others = [config.data, *(c for k, c in config.controls.items() if k != key)]
        if control.name in [other.name for other in others]:
            raise ConfigError(
                f"controls.{key}.name is '{control.name}', as of another data set of the run. "
                f"Fix: controls.{key}.name=<a name of its own>, or ~data@controls.{key}."
            )


def check_room(config: RunConfig, instructions: InstructionData, max_tokens: int) -> None:
    """Check that some conversation has an answer within the tokens that are read of it.

    The prompt is encoded without its image, whose tokens are counted; that may be off by a token or two where they
    meet, so the exact count is left to the loss.

    Raises:
        ConfigError: If none has.
    """
    model = config.model
    n_image_tokens = 0 if config.encoder is None else encoder_facts(config.encoder).n_tokens
    tokenizer = load_tokenizer(str(model.language or model.llava), model.revision)
    for item in instructions.conversations:
        prompt = str(model.prompt).replace("<image>", "").replace("{question}", item.turns[0][0])
        n_tokens = len(tokenizer(prompt)["input_ids"]) - _TOKENS_AT_A_SEAM
        if n_tokens + (item.image is not None) * n_image_tokens < max_tokens:
            return
    raise ConfigError(
        f"data.max_tokens is {max_tokens}, which leaves no conversation of '{instructions.name}' an answer; an image "
        f"takes {n_image_tokens} of them. Fix: raise data.max_tokens."
    )
