"""What a typed configuration still has to satisfy: rules that no single field's type can state."""

from ablate.config.errors import ConfigError
from ablate.config.schema import (
    METHOD_NAMES,
    PeftTunerMethod,
    RunConfig,
    TrainConfig,
    YesNoData,
)
from ablate.config.schema.fields import Reading
from ablate.config.schema.tasks import YesNoTask

_MAX_NAME_BYTES = 255
_IMAGE_TOKEN = "<image>"


def check_rules(run: RunConfig) -> None:
    """Check names, texts, words for yes and no, and learning rates.

    Raises:
        ConfigError: If a name is not a plain folder name or is a built-in method's, a text is empty, a question stands
            for an image, the words for yes and no are the same, or a learning rate ends above its peak.
    """
    _check_folder_name("name", run.name)
    texts = {
        "model.name": run.model.name,
        "data.name": run.data.name,
        "data.question": getattr(run.data, "question", None),
    }
    if run.ablation is not None:
        _check_folder_name("ablation.name", run.ablation.name)
        texts["ablation.question"] = run.ablation.question
    for key, text in texts.items():
        if text is not None and not text.strip():
            raise ConfigError(f"{key} is {text!r}; allowed: a text. Fix: {key}='...'.")
    methods = {"method": run.method, "language": run.language, "projector": run.projector}
    for key, method in methods.items():
        if isinstance(method, PeftTunerMethod) and method.name in METHOD_NAMES:
            raise ConfigError(
                f"{key}.name is '{method.name}', the name of a built-in method, but {key}.peft_type is "
                f"{method.peft_type}; allowed: any other name. Fix: "
                f"{key}.name=my-{method.name}, or leave {key}.peft_type out."
            )
    tasks = {} if run.tasks is None else run.tasks.tasks
    asked = {
        "data": run.data,
        **{f"controls.{name}": control for name, control in run.controls.items()},
        **{f"tasks.tasks.{name}": task for name, task in tasks.items()},
    }
    for key, config in asked.items():
        if _IMAGE_TOKEN in (question := str(getattr(config, "question", ""))):
            raise ConfigError(
                f"{key}.question is {question!r}, where '{_IMAGE_TOKEN}' would stand for a second image. Fix: leave it"
                " out; the model's prompt has it."
            )
        if isinstance(config, YesNoData | YesNoTask):
            _check_two_words(key, config.positive, config.negative, config.reading)
    for key, train in (("train", run.train), ("align", run.align)):
        if train is not None:
            _check_learning_rates(key, train)


def _check_folder_name(key: str, name: str) -> None:
    """Refuse what is not one plain folder name: a run must not leave `output_dir`, nor hide in it."""
    is_plain = name.strip() == name and name.isprintable() and not set(name) & set("/\\")
    if is_plain and name and not name.startswith(".") and len(name.encode()) <= _MAX_NAME_BYTES:
        return
    raise ConfigError(
        f"{key} is {name!r}; allowed: a plain folder name of 1 to {_MAX_NAME_BYTES} bytes, without / and \\, "
        f"control characters, spaces around it or a dot in front. Fix: {key}=my-{key.rsplit('.', 1)[0]}."
    )


def _check_two_words(key: str, positive: str, negative: str, reading: Reading) -> None:
    """Refuse words for yes and no between which no answer could decide."""
    compared = [" ".join(word.casefold().split()) for word in (positive, negative)]
    is_within = compared[0] in compared[1] or compared[1] in compared[0]
    if reading == "lenient" and is_within and compared[0] != compared[1]:
        raise ConfigError(
            f"{key}.positive is {positive!r} and {key}.negative is {negative!r}: one is within the other, which "
            f"{key}.reading=lenient cannot tell apart. Fix: {key}.reading=first."
        )
    if all(compared) and compared[0] != compared[1]:
        return
    raise ConfigError(
        f"{key}.positive is {positive!r} and {key}.negative is {negative!r}; allowed: two words that differ in more "
        f"than case and spaces. Fix: {key}.positive=yes {key}.negative=no."
    )


def _check_learning_rates(key: str, train: TrainConfig) -> None:
    """Refuse a schedule that would climb from its peak to its minimum."""
    if train.schedule == "constant" or train.minimum_learning_rate <= train.learning_rate:
        return
    raise ConfigError(
        f"{key}.minimum_learning_rate is {train.minimum_learning_rate}, above {key}.learning_rate, which is "
        f"{train.learning_rate}. Fix: {key}.minimum_learning_rate={train.learning_rate / 10:g}."
    )
