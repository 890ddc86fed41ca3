"""Writes a sweep folder of many runs and times `ablate report` on it, in a process of its own.

python scripts/bench_report.py                          1,000 runs with 500 items each
python scripts/bench_report.py --items 10000            ten million item rows: what memory they take
python scripts/bench_report.py --format terminal        without pictures and page
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from ablate.results.items import ItemResult, items_table, write_items
from ablate.results.record import AblationRecord, Cell, RunRecord, TaskResult
from ablate.results.tables import rebuild

_SEEDS = 10
_CODE = "from ablate.cli.main import main; main()"


def main() -> None:
    """Write the folder, run the command, print its seconds and its memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--format", default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        sweep = Path(place) / "bench"
        write_sweep(sweep, given.runs, given.items)
        words = ["report", str(sweep), *(["--format", given.format] if given.format else [])]
        seconds, cpu_seconds, peak_kib, code = _timed([sys.executable, "-c", _CODE, *words])
    print(
        f"{given.runs} runs of {given.items} items: {seconds:.1f} s ({cpu_seconds:.1f} s of a core), "
        f"{peak_kib / 1024:.0f} MiB, exit code {code}"
    )


def write_sweep(sweep: Path, n_runs: int, n_items: int) -> None:
    """Write runs of a tenth as many values as runs, ten seeds each, with a target and as many items in a control.

    Args:
        sweep: The folder to make.
        n_runs: How many runs.
        n_items: Items of each run: half of the target, half of a control.
    """
    rng = np.random.default_rng(0)
    ease = rng.random(n_items // 2)
    values = list(range(max(n_runs // _SEEDS, 1)))
    ablation = AblationRecord(
        "bench", "How fast?", "method.rank", [*values], 0, ["accuracy", "control_change"], "bench"
    )
    template = _items(n_items // 2)
    for number in range(n_runs):
        value, seed = number // _SEEDS, number % _SEEDS
        run_id = f"bench-{value}-seed{seed}"
        folder = sweep / "runs" / run_id
        folder.mkdir(parents=True)
        target, control = (ease + rng.normal(0, 0.2, n_items // 2) > 0.4 for _ in range(2))
        template["score"] = np.concatenate([target, control]).astype(float)
        write_items(template, folder / "items.parquet")
        record = _record(run_id, value, seed, target.mean(), control.mean(), n_items, ablation)
        (folder / "result.json").write_text(json.dumps(record.to_json()), encoding="utf-8")
    rebuild(sweep)


def _items(n: int) -> pd.DataFrame:
    """Return the rows of a run, a target and a control, as they are before a run has scores."""
    items = [
        ItemResult(f"image-{k}.png", f"image-{k}.png", "circle", "ring", 0.0) for k in range(n)
    ]
    tables = [
        items_table("target", "target", "accuracy", items, items),
        items_table("control", "control", "accuracy", items, items),
    ]
    table = pd.concat(tables, ignore_index=True)
    table["option_logprobs"] = [[-0.1, -2.0, -3.0, -4.0, -5.0]] * len(table)
    return table


def _record(
    run_id: str,
    value: int,
    seed: int,
    target: float,
    control: float,
    n_items: int,
    ablation: AblationRecord,
) -> RunRecord:
    half = n_items // 2
    tasks = [
        TaskResult("target", "target", "accuracy", float(target), 0.0, 0.2, half, 0.02),
        TaskResult("control", "control", "accuracy", float(control), 0.0, 0.2, half, 0.02),
    ]
    row: dict[str, Cell] = {
        "run_id": run_id,
        "ablation": ablation.name,
        "axis": ablation.key,
        "value": value,
        "seed": seed,
        "status": "ok",
        "config_id": f"bench-{value}",
        "method": "lorsu",
        "accuracy": float(target),
        "accuracy_before": 0.0,
        "target_improvement": float(target),
        "control_change": float(control),
        "n_items": half,
        "trainable_parameters": 1000 * (value + 1),
        "peak_memory_bytes": 10**9,
        **{f"{stage}_seconds": 1.0 + seed for stage in ("load", "importance", "train", "eval")},
    }
    settings: dict[str, Cell] = {f"train.key_{k}": k for k in range(60)}
    settings["method.rank"] = value
    return RunRecord(
        row, tasks, ablation=ablation, settings=settings, overrides={"method.rank": value}
    )


def _timed(command: list[str]) -> tuple[float, float, int, int]:
    """Return a command's seconds, those of processor cores, its peak memory in KiB, and its exit code."""
    started = time.perf_counter()
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    seconds, cores = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return seconds, cores, usage.ru_maxrss, os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()
