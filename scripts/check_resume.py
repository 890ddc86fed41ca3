"""End runs at random moments, call them again until they are done: their rows must be those of an undisturbed sweep.

    python scripts/check_resume.py                 50 ends over seven recipes, about 20 minutes on 2 cores
    python scripts/check_resume.py --ends 4 --recipes lora ewc --seed 3

Every sweep is made once undisturbed. Then it is called over and over and ended at a moment drawn evenly from the time
that the undisturbed one took, by SIGKILL, SIGTERM or SIGUSR1; only ends inside a run count. What is compared: every
column of results.csv but times, stamps, memory and the code's version, tasks.csv, sessions.csv, items.parquet, and the
trained updates bit for bit.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

_STEPS = (
    *("data.shots=4", "data.test_items=64", "controls.source.test_items=32", "eval.batch_size=16"),
    *("train.batch_size=8", "train.epochs=8"),
)
_VISION = ("shape", "colour", "size", "texture", "count", "place")
_TEXT = ("recall", "position", "count", "neighbour", "number", "odd")
_SUITE = (
    "eval.batch_size=16",
    *(f"tasks.tasks.{name}.items=24" for name in _VISION),
    *(f"tasks.tasks.words-{name}.items=24" for name in _TEXT),
)
RECIPES: dict[str, tuple[str, ...]] = {
    "lorsu": ("method=lorsu", "data.sessions=2", *_STEPS),
    "lorsu-clip": ("method=lorsu", "loss=clip", "data.sessions=2", *_STEPS),
    "lora": ("method=lora", "train.accumulation_steps=2", *_STEPS),
    "adalora": ("method=adalora", "data.sessions=2", *_STEPS),
    "ewc": ("method=ewc", "data.sessions=3", *_STEPS),
    "instructions": (
        *("+ablation=freeze", "ablation.values=[lorsu]", "ablation.baseline=lorsu", "seeds=[0]"),
        *("data.scenes=192", *_SUITE),
    ),
    "language-model": ("method=lora-f", "tasks=tiny", *_STEPS, *_SUITE),
}
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
_MEASURED_ANEW = ("_seconds", "_at", "_bytes", "git_commit", "git_dirty")
_INTERRUPTED = 130


def call(words: Sequence[str], end_after: float | None = None, how: int = 0) -> tuple[int, str]:
    """Call `ablate run` in a process of its own, which finds everything imported.

    Args:
        words: The command line.
        end_after: Seconds after which it is sent a signal; None for never.
        how: The signal.

    Returns:
        Its exit code, negative for a signal, and what it printed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ablate.cli.run", "ablate.runner.job", "ablate.sweep.execute"])
    with tempfile.NamedTemporaryFile() as output:
        child = context.Process(target=_call, args=(list(words), output.name))
        child.start()
        child.join(end_after)
        if child.exitcode is None and child.pid is not None:
            os.kill(child.pid, how)
            child.join()
        return child.exitcode or 0, Path(output.name).read_text(encoding="utf-8")


def _call(words: list[str], output: str) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from ablate.cli.run import run

    sys.argv = ["ablate"]
    sys.exit(run(words))


def differences(one: Path, other: Path) -> list[str]:
    """Compare two output folders; return what differs, with the columns."""
    found: list[str] = []
    (sweep,) = (path.parent for path in one.glob("*/results.csv"))
    twin = other / sweep.name
    for name in ("results.csv", "tasks.csv", "sessions.csv"):
        if not (sweep / name).exists() and not (twin / name).exists():
            continue
        left, right = (pd.read_csv(folder / name, dtype=str) for folder in (sweep, twin))
        if left.shape != right.shape or list(left) != list(right):
            found.append(f"{name}: {left.shape} and {right.shape}")
            continue
        kept = [column for column in left.columns if not column.endswith(_MEASURED_ANEW)]
        found += [f"{name}: {column}" for column in kept if not left[column].equals(right[column])]
    for run in (sweep / "runs").iterdir():
        again = twin / "runs" / run.name
        left, right = (pd.read_parquet(folder / "items.parquet") for folder in (run, again))
        if not left.equals(right):
            found.append(f"{run.name}: items.parquet")
        updates = [load_file(folder / "adapter.safetensors") for folder in (run, again)]
        same_names = updates[0].keys() == updates[1].keys()
        if not same_names or not all(torch.equal(t, updates[1][n]) for n, t in updates[0].items()):
            found.append(f"{run.name}: adapter.safetensors")
    return found


def left_over(outputs: Path) -> list[str]:
    """Name what should be gone once every run has ended."""
    names = ("started.json", "training.json", "checkpoint.safetensors", "answers.json")
    return [
        path.relative_to(outputs).as_posix()
        for path in outputs.rglob("*")
        if path.suffix == ".tmp" or path.name in names or path.name == "damaged"
    ]


def disturb(recipe: str, n_ends: int, draw: random.Random, folder: Path) -> tuple[int, list[str]]:
    """End a recipe's run so many times, let it come through, and compare.

    Returns:
        How many ends were inside a run, and what is wrong.
    """
    calm, rough = folder / "calm", folder / "rough"
    words = RECIPES[recipe]
    start = time.monotonic()
    code, output = call([*words, f"output_dir={calm}"])
    if code:
        return 0, [f"the undisturbed sweep: exit code {code}\n{output}"]
    took = time.monotonic() - start
    ended, wrong, resumed = 0, [], 0
    while ended < n_ends:
        saving = f"checkpoint.steps={draw.choice((1, 2, 5))}"
        how = draw.choice(_SIGNALS)
        given = [*words, f"output_dir={rough}", saving]
        code, output = call(given, draw.uniform(0, took), how)
        inside = any(rough.glob("*/runs/*/config.yaml"))
        if code == 0:
            wrong += differences(calm, rough)
            shutil.rmtree(rough)
        elif code == -how or code == _INTERRUPTED:
            ended += inside
            resumed += any(rough.glob("*/runs/*/checkpoint.safetensors"))
        else:
            return ended, [*wrong, f"exit code {code} after {signal.Signals(how).name}\n{output}"]
        if "Traceback" in output:
            wrong.append(output)
    code, output = call([*words, f"output_dir={rough}"])
    if code:
        return ended, [*wrong, f"the last call: exit code {code}\n{output}"]
    wrong += [*differences(calm, rough), *(f"left over: {name}" for name in left_over(rough))]
    print(
        f"{recipe}: {ended} ends inside runs, {resumed} of them with a training to go on from; "
        f"an undisturbed call takes {took:.1f} s; what differs: {len(wrong) or 'nothing'}",
        flush=True,
    )
    return ended, wrong


def main() -> int:
    """End, call again, compare; return 0 if nothing differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ends", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    given = parser.parse_args()
    draw = random.Random(given.seed)
    start = time.monotonic()
    # The first process imports; what is timed below does not.
    call(["--cfg", "job"])
    per_recipe = -(-given.ends // len(given.recipes))
    ended, wrong = 0, []
    for recipe in given.recipes:
        with tempfile.TemporaryDirectory() as folder:
            n, faults = disturb(recipe, per_recipe, draw, Path(folder))
        for fault in faults:
            print(f"{recipe}: {fault}", flush=True)
        ended += n
        wrong += faults
    print(f"{ended} ends, {len(wrong)} differences; {time.monotonic() - start:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
