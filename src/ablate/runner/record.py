"""What is known of a run before it begins, and its status at the end."""

from dataclasses import asdict

import torch

import ablate
from ablate.config.schema import RunConfig
from ablate.config.text import encodable
from ablate.models.files import model_source
from ablate.models.kinds import read_vision_config
from ablate.results.record import (
    AblationRecord,
    Cell,
    RunRecord,
    StableRules,
    Status,
    SuiteRecord,
)
from ablate.runner.identity import config_id, given_settings, settings
from ablate.runner.prepare import PreparedRun
from ablate.telemetry.interruption import RunInterruptedError
from ablate.telemetry.memory import is_out_of_memory
from ablate.telemetry.provenance import git_state
from ablate.training.trainer import NonFiniteLossError


def new_record(prepared: PreparedRun) -> RunRecord:
    """Describe a run that has no outcome yet."""
    config = prepared.config
    return RunRecord(
        _row(prepared),
        suite=suite_record(prepared),
        ablation=ablation_record(config),
        settings=settings(config, prepared.fingerprints),
        overrides=given_settings(config, prepared.overrides),
        composed_from=list(prepared.overrides),
    )


def suite_record(prepared: PreparedRun) -> SuiteRecord | None:
    """Say which tasks a run is to answer, and how the stable ones are chosen."""
    suite = prepared.config.tasks
    if suite is None:
        return None
    expected = {
        kind: [task.name for task in prepared.suite if task.kind == kind]
        for kind in ("vision", "text")
    }
    stable = {"vision": suite.stable.vision, "text": suite.stable.text}
    return SuiteRecord(
        suite.name,
        expected,
        {kind: choice if choice == "auto" else list(choice) for kind, choice in stable.items()},
        StableRules(**asdict(suite.stable.rules)),
    )


def ablation_record(config: RunConfig) -> AblationRecord | None:
    """Say which question a run helps to answer, and how."""
    ablation = config.ablation
    if ablation is None:
        return None
    return AblationRecord(
        ablation.name,
        ablation.question,
        ablation.key,
        list(ablation.values),
        ablation.baseline,
        list(ablation.metrics),
        ablation.source,
    )


def failure(error: BaseException) -> dict[str, Cell]:
    """Return the columns that say how a run has failed."""
    text = encodable(" ".join(str(error).split()))
    name = type(error).__name__
    return {"status": _status(error), "error": f"{name}: {text}" if text else name}


def _row(prepared: PreparedRun) -> dict[str, Cell]:
    config = prepared.config
    commit, dirty = git_state()
    ablation, method = config.ablation, asdict(config.method)
    return {
        "run_id": prepared.folder.run_id,
        "ablation": ablation.name if ablation else None,
        "axis": ablation.key if ablation else None,
        "value": ablation.value if ablation else None,
        "seed": config.seed,
        "status": "interrupted",
        "model": config.model.name,
        "encoder": _encoder(config),
        "method": config.method.name,
        "loss": config.loss,
        "data": config.data.name,
        **{key: getattr(config.data, key, None) for key in ("shots", "sessions")},
        **{key: method.get(key) for key in ("rank", "top_k_heads", "sparsity")},
        "git_commit": commit,
        "git_dirty": dirty,
        "ablate_version": ablate.__version__,
        "config_id": config_id(config, prepared.fingerprints),
        "model_source": model_source(config.model),
        "threads": torch.get_num_threads(),
        "quantization": config.model.quantization,
        "image_aspect": config.model.image_aspect,
        "protocol": _protocol(config),
    }


def _protocol(config: RunConfig) -> str | None:
    """Name the protocol and its setting, and say over how many controls the change is averaged."""
    protocol = config.protocol
    if protocol is None:
        return None
    return f"{protocol.name} {protocol.setting}, {len(config.controls)} controls"


def _encoder(config: RunConfig) -> str:
    """Name the image encoder: the one put in, else the family or families of the model's own."""
    if config.encoder is not None:
        return config.encoder.name
    vision = read_vision_config(config.model)
    parts = vision.get("parts", [{"config": vision}])
    families = [str(part["config"]["model_type"]).removesuffix("_vision_model") for part in parts]
    return "+".join(families) or "patches"


def _status(error: BaseException) -> Status:
    if isinstance(error, NonFiniteLossError):
        return "diverged"
    # The last is what submitit raises in a job that has to end and is not queued again.
    if isinstance(error, KeyboardInterrupt | RunInterruptedError) or (
        type(error).__name__ == "UncompletedJobError"
    ):
        return "interrupted"
    if is_out_of_memory(error):
        return "oom"
    return "failed"
