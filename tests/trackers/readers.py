"""What trackers wrote, by their own libraries' means: of each run its values, the steps of its loss, its outcome."""

import json
import struct
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = [name for name in ("wandb", "mlflow", "trackio", "tensorboard") if find_spec(name)]


@dataclass
class Seen:
    """One run as a tracker has it: `outcome` has the last value of every number, and status and error."""

    name: str
    values: dict[str, Any]
    losses: list[float]
    rates: list[float]
    outcome: dict[str, Any]
    group: str
    steps: list[int] = field(default_factory=list)


def runs_in(tracker: str, outputs: Path, shared: Path, sweep: str) -> list[Seen]:
    """Read all runs of a sweep, in the order in which they were begun."""
    read = {"wandb": _wandb, "mlflow": _mlflow, "trackio": _trackio, "tensorboard": _tensorboard}
    return read[tracker](shared if tracker in ("mlflow", "trackio") else outputs, sweep)


def _wandb(outputs: Path, sweep: str) -> list[Seen]:
    files = sorted((outputs / sweep / "wandb").glob("offline-run-*/*.wandb"))
    return [_wandb_run(file) for file in files]


def _wandb_run(file: Path) -> Seen:
    seen = Seen("", {}, [], [], {}, "")
    for record in wandb_records(file.read_bytes()):
        if record.HasField("run"):
            seen.name, seen.group = record.run.display_name, record.run.run_group
            seen.values = {one.key: json.loads(one.value_json) for one in record.run.config.update}
        elif record.HasField("history"):
            row = {one.nested_key[0]: json.loads(one.value_json) for one in record.history.item}
            seen.losses.append(row["train/loss"])
            seen.rates.append(row["train/learning_rate"])
        elif record.HasField("summary"):
            seen.outcome |= {
                one.key: json.loads(one.value_json) for one in record.summary.update if one.key
            }
    return seen


def wandb_records(data: bytes):
    """Read LevelDB's log format: blocks of 32 KiB, records of a 7-byte header and its content."""
    from wandb.proto.wandb_internal_pb2 import Record

    place, content = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        content += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(content)
            content = b""


def _mlflow(outputs: Path, sweep: str) -> list[Seen]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{outputs}/mlflow.db")
    experiment = client.get_experiment_by_name(sweep)
    found = []
    for run in client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]):
        steps = {
            name: [one.value for one in client.get_metric_history(run.info.run_id, f"train/{name}")]
            for name in ("loss", "learning_rate")
        }
        outcome = {**run.data.metrics, "error": None, **run.data.tags}
        ended = {"ok": "FINISHED", "interrupted": "KILLED"}.get(outcome["status"], "FAILED")
        assert run.info.status == ended
        found.append(
            Seen(
                run.info.run_name,
                run.data.params,
                steps["loss"],
                steps["learning_rate"],
                outcome,
                run.data.tags["group"],
            )
        )
    return found


def _trackio(_: Path, sweep: str) -> list[Seen]:
    from trackio.sqlite_storage import SQLiteStorage

    found = []
    for record in SQLiteStorage.get_run_records(sweep):
        rows = SQLiteStorage.get_logs(sweep, run_id=record["id"])
        values = SQLiteStorage.get_run_config(sweep, run_id=record["id"])
        steps = [row for row in rows if "train/loss" in row]
        found.append(
            Seen(
                record["name"],
                values,
                [row["train/loss"] for row in steps],
                [row["train/learning_rate"] for row in steps],
                rows[-1],
                values["_Group"],
            )
        )
    return found


def _tensorboard(outputs: Path, sweep: str) -> list[Seen]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = []
    for folder in sorted((outputs / sweep / "tensorboard").iterdir()):
        events = EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0})
        events.Reload()
        steps, outcome = {}, {"error": None}
        for name in events.Tags()["scalars"]:
            steps[name] = [one.value for one in events.Scalars(name)]
            outcome[name] = steps[name][-1]
        for name in events.Tags()["tensors"]:
            text = events.Tensors(name)[0].tensor_proto.string_val[0].decode()
            outcome[name.removesuffix("/text_summary")] = text
        info = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        hparams = HParamsPluginData.FromString(info).session_start_info.hparams
        values = {key: getattr(one, str(one.WhichOneof("kind"))) for key, one in hparams.items()}
        found.append(
            Seen(
                folder.name,
                values,
                steps.get("train/loss", []),
                steps.get("train/learning_rate", []),
                outcome,
                values["group"],
                [one.step for one in events.Scalars("train/loss")] if "train/loss" in steps else [],
            )
        )
    return found
