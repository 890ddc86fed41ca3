"""Compare a rank ablation with as many separate transformers + peft scripts, one process per run.

    python scripts/bench_sweep.py                 # six ranks of LoRA, one seed, three rounds
    python scripts/bench_sweep.py --ranks 8 64 --rounds 1

Both sides train LoRA on the tiny model's image encoder with the same images for the same steps, and evaluate target
and control before and after, through the language model and zero-shot. The scripts generate answers in batches of 64;
ablate scores the options. Each round makes one sweep and all scripts, alternating which goes first, and prints the
ratio of their times; the numbers of both sides are printed beside it, so that a side that did less would show.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config, to_plain
from ablate.config.schema import LoraMethod, RunConfig, ShapesData
from ablate.data.few_shot import few_shot_indices
from ablate.evaluation.tasks.classification import chosen_rows
from ablate.models.files import locate
from ablate.recipes.data import load_data

PLAIN = Path(__file__).with_name("plain_run.py")


def shipped_run() -> RunConfig:
    """Compose the run that the ablation varies."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return read_run_config(compose("config", overrides=["method=lora"]))


def export(run: RunConfig, file: Path) -> None:
    """Write images and labels as a user would have them, and what the script has to know."""
    assert isinstance(run.data, ShapesData)
    assert isinstance(run.method, LoraMethod)
    arrays: dict[str, np.ndarray] = {}
    target = load_data(run.data)
    sources = {
        "train": (target.train, few_shot_indices(target.train.labels, run.data.shots, run.seed)),
        "target": (target.test, chosen_rows(target, run.data, run.eval)),
    }
    control = load_data(run.controls["source"], trained_on=False)
    sources["control"] = (control.test, chosen_rows(control, run.controls["source"], run.eval))
    for name, (source, rows) in sources.items():
        arrays[f"{name}_images"] = np.stack([np.asarray(image) for image in source.images(rows)])
        arrays[f"{name}_labels"] = np.array([source.labels[row] for row in rows])
    np.savez(file, **arrays)  # type: ignore[arg-type]
    settings = {
        "llava": locate(str(run.model.llava)),
        "clip": locate(str(run.model.clip)),
        "prompt": run.model.prompt,
        "class_names": target.class_names,
        "question": target.question,
        "templates": target.templates,
        "target_modules": run.method.target_modules.encoder,
        "train": to_plain(run)["train"],
    }
    file.with_suffix(".json").write_text(json.dumps(settings), encoding="utf-8")


def sweep(ranks: list[int], folder: Path) -> tuple[float, Any]:
    """Make the ablation; return its seconds, and the accuracies of every run."""
    values = ",".join(map(str, ranks))
    words = ["+ablation=rank", "method=lora", f"ablation.values=[{values}]", "seeds=[0]"]
    words += [f"ablation.baseline={ranks[0]}", f"output_dir={folder}"]
    command = [sys.executable, "-c", "from ablate.cli.main import main; main()", "run", *words]
    seconds = _timed(command)[0]
    table = pd.read_csv(folder / "rank" / "results.csv")
    return seconds, [round(value, 3) for value in table["accuracy"]]


def scripts(ranks: list[int], data: Path) -> tuple[float, Any]:
    """Make the runs by separate scripts; return their seconds together, and their accuracies."""
    seconds, found = 0.0, []
    for rank in ranks:
        one, output = _timed([sys.executable, str(PLAIN), str(data), str(rank)])
        seconds += one
        found.append(round(json.loads(output.splitlines()[-1])["after"]["target accuracy"], 3))
    return seconds, found


def _timed(command: list[str]) -> tuple[float, str]:
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - start, done.stdout


def main() -> None:
    """Print the ratio of every round, and their median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(shipped_run(), folder / "data.npz")
        for number in range(arguments.rounds):
            made = {}
            for side in ("sweep", "scripts") if number % 2 == 0 else ("scripts", "sweep"):
                if side == "sweep":
                    made[side] = sweep(arguments.ranks, folder / str(number))
                else:
                    made[side] = scripts(arguments.ranks, folder / "data.npz")
            ratios.append(made["scripts"][0] / made["sweep"][0])
            for side, (seconds, found) in made.items():
                print(f"{side:8} {seconds:7.1f} s  accuracy by rank {found}", flush=True)
            print(f"scripts / sweep: {ratios[-1]:.2f}", flush=True)
    print(f"median of {len(ratios)}: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
