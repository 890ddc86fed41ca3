"""What does not fit together in a configuration, found before anything is loaded."""

from ablate.config.errors import ConfigError
from ablate.config.schema import InstructionDataConfig, RunConfig, TrainConfig
from ablate.data.types import InstructionData
from ablate.methods.base import Setting
from ablate.methods.build import build_method
from ablate.models.encoders.check import encoder_facts
from ablate.models.kinds import check_language, check_pair, check_toy
from ablate.models.pretrained import load_tokenizer
from ablate.models.skeleton import vlm_skeleton

_TOKENS_AT_A_SEAM = 2
_LANGUAGE_METHODS = "frozen, lora-l, full-l"
_IMAGE_SIDE = {"encoder", "visual_projection"}


def check_recipe(config: RunConfig) -> None:
    """Check that data, encoder, loss and language method belong to one recipe.

    Raises:
        ConfigError: If not.
    """
    if not isinstance(config.data, InstructionDataConfig):
        if config.encoder is not None:
            raise ConfigError(
                f"encoder is '{config.encoder.name}', whose projector has to be trained first, but data "
                f"'{config.data.name}' is not instruction data; allowed: shapes-instruct, llava-instruct. "
                "Fix: data=shapes-instruct."
            )
        _refuse(config, "language", config.language)
        _refuse(config, "align", config.align)
        _check_projector(config)
        return
    if config.projector is not None:
        raise ConfigError(
            f"projector is given, but a run on data '{config.data.name}' trains all of the projector anyway. "
            "Fix: projector=null."
        )
    if config.controls:
        given = next(iter(config.controls))
        raise ConfigError(
            f"controls.{given} is given, but a run on data '{config.data.name}' has no state before training to "
            f"compare with; it is evaluated on its tasks. Fix: ~data@controls.{given}."
        )
    if config.language is None:
        raise ConfigError(
            f"language is null, but data '{config.data.name}' train the language model too; "
            f"allowed: {_LANGUAGE_METHODS}. Fix: method@language=full-l."
        )
    if not build_method(config.language, config.loss, "language").parts() <= {"language_model"}:
        raise ConfigError(
            f"language is '{config.language.name}', which trains other parts than the language model; "
            f"allowed: {_LANGUAGE_METHODS}. Fix: method@language=full-l."
        )
    if not build_method(config.method, config.loss).parts() <= _IMAGE_SIDE:
        raise ConfigError(
            f"method is '{config.method.name}', which trains more than the image encoder; with "
            f"instruction data, `language` says how the language model is trained. Fix: method=lora."
        )
    if config.loss != "lm":
        raise ConfigError(
            f"loss is '{config.loss}', but instructions have no classes to match; allowed: lm. Fix: loss=lm."
        )
    if config.tasks is None:
        raise ConfigError(
            f"tasks is null, but a run on data '{config.data.name}' is evaluated on a suite of tasks only. "
            "Fix: tasks=tiny, or one of `ablate list tasks`."
        )


def _check_projector(config: RunConfig) -> None:
    """Refuse a method for the projector that trains something else, or beside which that is trained twice."""
    if config.projector is None:
        return
    if build_method(config.projector, config.loss, "projector").parts() != {"projector"}:
        raise ConfigError(
            f"projector is '{config.projector.name}', which does not train the projector alone; allowed: a method with "
            "target_modules of the projector only, such as lora-p. Fix: method@projector=lora-p."
        )
    parts = build_method(config.method, config.loss).parts()
    if "projector" in parts or {"encoder", "language_model"} <= parts:
        raise ConfigError(
            f"projector is '{config.projector.name}', but method '{config.method.name}' trains "
            f"{', '.join(sorted(parts))}; allowed beside it: a method of the image encoder, or of the language model. "
            "Fix: projector=null."
        )


def check_training(config: RunConfig) -> None:
    """Check that every training recipe can be carried out.

    Raises:
        ConfigError: If batches of the contrastive loss are to be accumulated, or Adam is to decay weights.
    """
    for key, recipe in (("train", config.train), ("align", config.align)):
        if recipe is None:
            continue
        _check_loss_keys(config, key, recipe)
        if config.loss == "clip" and recipe.accumulation_steps > 1:
            whole = recipe.batch_size * recipe.accumulation_steps
            raise ConfigError(
                f"{key}.accumulation_steps is {recipe.accumulation_steps}, but loss=clip contrasts each image with the "
                "others of its own forward pass, so accumulated batches do not form a larger one; allowed: 1. "
                f"Fix: {key}.accumulation_steps=1 {key}.batch_size={whole}, or loss=lm."
            )
        if recipe.optimizer == "adam" and recipe.weight_decay:
            raise ConfigError(
                f"{key}.weight_decay is {recipe.weight_decay}, but {key}.optimizer is 'adam', which has "
                f"no weight decay; allowed: 0. Fix: {key}.optimizer=adamw, or {key}.weight_decay=0."
            )


def _check_loss_keys(config: RunConfig, key: str, recipe: TrainConfig) -> None:
    """Refuse words for a loss that the run does not have: they would change its name and nothing else."""
    words = {
        "open_question": ("lm", recipe.open_question is not None, "null"),
        "clip_text": ("clip", recipe.clip_text != "mean", "mean"),
        "augment": ("clip", recipe.augment is not None, "null"),
    }
    for name, (loss, is_given, without) in words.items():
        if not is_given:
            continue
        if isinstance(config.data, InstructionDataConfig):
            raise ConfigError(
                f"{key}.{name} is given, but data '{config.data.name}' brings its own questions and answers. "
                f"Fix: {key}.{name}={without}."
            )
        if loss != config.loss:
            raise ConfigError(
                f"{key}.{name} is given, but belongs to loss={loss} and loss is '{config.loss}'. "
                f"Fix: {key}.{name}={without}, or loss={loss}."
            )


def _refuse(config: RunConfig, key: str, given: object) -> None:
    if given is not None:
        raise ConfigError(
            f"{key} is given, but data '{config.data.name}' is not instruction data and has no such stage. "
            f"Fix: {key}=null, or data=shapes-instruct."
        )


def check_model(config: RunConfig) -> None:
    """Check that there is a model to train: a LLaVA, or a language model with an encoder.

    Raises:
        ConfigError: If a part of it is missing, or its parts do not match.
    """
    check_toy(config.model)
    if config.encoder is not None:
        check_language(config.model)
        encoder_facts(config.encoder)
        if not config.encoder.parts and build_method(config.method, config.loss).parts():
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
            f"model.language is '{config.model.language}', but without an encoder model.llava is used. "
            "Fix: model.language=null, or encoder=<one of `ablate list encoders`>."
        )
    check_pair(config.model)


def check_frozen(config: RunConfig) -> None:
    """Check that no method trains, and no folder keeps, a language model whose weights are quantised.

    Raises:
        ConfigError: If one does.
    """
    bits = config.model.quantization
    if bits is None:
        return
    for key, method in (("method", config.method), ("language", config.language)):
        if method is None or "language_model" not in build_method(method, config.loss, key).parts():
            continue
        fix = "method=lora" if key == "method" else "method@language=frozen"
        raise ConfigError(
            f"{key} is '{method.name}', which trains the language model, but model.quantization is '{bits}', which "
            f"keeps it frozen. Fix: model.quantization=null, or {fix}."
        )
    if config.save_model:
        raise ConfigError(
            f"save_model is true, but model.quantization is '{bits}', so what would be saved is not the language model "
            "as it was given. Fix: save_model=false: adapter.safetensors holds the update, for any precision."
        )


def check_fit(config: RunConfig) -> None:
    """Check that the model, built without weights, has what the run's methods train.

    Raises:
        ConfigError: If it lacks layers, heads or blocks.
    """
    vlm = vlm_skeleton(config.model, config.encoder)
    is_own = config.encoder is None
    name = str(config.model.name) if config.encoder is None else config.encoder.name
    for key, method in (
        ("method", config.method),
        ("language", config.language),
        ("projector", config.projector),
    ):
        if method is not None:
            setting = Setting(vlm, name, is_own, key)
            build_method(method, config.loss, key).check_model(setting)


def check_names(config: RunConfig) -> None:
    """Refuse two data sets of one name: their rows could not be distinguished.

    Raises:
        ConfigError: If two have the same.
    """
    for key, control in config.controls.items():
        others = [config.data, *(c for k, c in config.controls.items() if k != key)]
        if control.name in [other.name for other in others]:
            raise ConfigError(
                f"controls.{key}.name is '{control.name}', the name of another data set of the run. "
                f"Fix: controls.{key}.name=<a name of its own>, or ~data@controls.{key}."
            )


def check_max_tokens(config: RunConfig, instructions: InstructionData, max_tokens: int) -> None:
    """Check that some conversation has an answer within its first `max_tokens` tokens.

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
