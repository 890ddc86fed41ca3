"""Kill a sweep over and over, damage what it left, then call it once: its rows must be those of an undisturbed one.

    python scripts/check_reliability.py                       100 kills and 50 damages, about 12 minutes on 2 cores
    python scripts/check_reliability.py --kills 10 --damages 5

A kill is SIGKILL at a random moment among all those at which the sweep touches a file: an audit hook of the
interpreter counts them in the process that is killed; nothing in ablate knows of it. After every kill another call of
the same sweep goes on, until it is killed, too. Damages are drawn from `DAMAGES` and done to the files of random runs,
with a call in between. What is compared: every column of results.csv but times, stamps and memory, and tasks.csv.
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
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

SWEEP = (
    "+ablation=rank",
    "ablation.values=[2,4]",
    "ablation.baseline=2",
    "seeds=[0,1]",
    "data.shots=2",
    "data.sessions=2",
    "data.test_items=32",
    "~data@controls.source",
    "train.epochs=1",
)
# Events of the interpreter that change files, and the opening of files.
_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"})
_MEASURED_ANEW = ("_seconds", "_at", "_bytes")
_LEFT = ("started.json", "training.json", "checkpoint.safetensors", "answers.json", ".aside")


def _write(content: bytes) -> Callable[[Path], None]:
    return lambda path: _set(path, content)


def _set(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _edit(old: bytes, new: bytes) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        content = path.read_bytes()
        if old not in content:
            raise ValueError(f"{path.name} does not hold {old!r}")
        path.write_bytes(content.replace(old, new, 1))

    return edit


def _to_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file in the place of a folder")


# What is done to which file of a run; "." is the run's folder itself.
DAMAGES: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
    ("record cut off", "result.json", _cut),
    ("record empty", "result.json", _write(b"")),
    ("record garbage", "result.json", _write(b"\x00\xff\xfe garbage")),
    ("record null", "result.json", _write(b"null")),
    ("record a list", "result.json", _write(b"[1, 2]")),
    ("record a number", "result.json", _write(b"5")),
    ("record a text", "result.json", _write(b'"ok"')),
    ("record an empty object", "result.json", _write(b"{}")),
    ("record nested", "result.json", _write(b"[" * 100_000)),
    (
        "record with a huge number",
        "result.json",
        _write(b'{"row": {"seed": ' + b"9" * 5000 + b"}}"),
    ),
    ("record in another encoding", "result.json", _write('{"row": "é"}'.encode("latin-1"))),
    ("record without a row", "result.json", _edit(b'"row"', b'"raw"')),
    ("record without a status", "result.json", _edit(b'"status"', b'"state"')),
    ("record of an unknown status", "result.json", _edit(b'"status": "ok"', b'"status": "fine"')),
    ("record without a run id", "result.json", _edit(b'"run_id"', b'"id"')),
    ("record of another run", "result.json", _edit(b'"run_id": "', b'"run_id": "other-')),
    ("record without a seed", "result.json", _edit(b'"seed"', b'"sead"')),
    ("record with a seed in words", "result.json", _edit(b'"seed": ', b'"seed": "one", "x": ')),
    ("record without tasks' names", "result.json", _edit(b'"task"', b'"tusk"')),
    ("record with tasks as text", "result.json", _edit(b'"tasks": [', b'"tasks": "none", "x": [')),
    ("record with an unknown field", "result.json", _edit(b'"digest"', b'"extra": 1, "digest"')),
    ("record with a wrong type", "result.json", _edit(b'"n": 32', b'"n": "many"')),
    (
        "record with a nested cell",
        "result.json",
        _edit(b'"method": "lorsu"', b'"method": {"a": 1}'),
    ),
    ("record a folder", "result.json", _to_folder),
    ("record gone", "result.json", Path.unlink),
    ("items gone", "items.parquet", Path.unlink),
    ("items empty", "items.parquet", _write(b"")),
    ("items cut off", "items.parquet", _cut),
    ("items garbage", "items.parquet", _write(b"PAR1 garbage PAR1")),
    ("items with a flipped bit", "items.parquet", _flip),
    ("items a folder", "items.parquet", _to_folder),
    ("update gone", "adapter.safetensors", Path.unlink),
    ("update empty", "adapter.safetensors", _write(b"")),
    ("update cut off", "adapter.safetensors", _cut),
    ("update with a flipped bit", "adapter.safetensors", _flip),
    ("update a folder", "adapter.safetensors", _to_folder),
    ("folder a file", ".", _to_file),
    ("folder gone", ".", shutil.rmtree),
)
# What is done to the files of the whole sweep; the second is a path below the output folder.
SWEEP_DAMAGES: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
    ("results.csv cut off", "rank/results.csv", _cut),
    ("results.csv garbage", "rank/results.csv", _write(b"\x00\xff")),
    ("results.csv gone", "rank/results.csv", Path.unlink),
    ("results.csv a folder", "rank/results.csv", _to_folder),
    ("tasks.csv a folder", "rank/tasks.csv", _to_folder),
    ("sessions.csv a folder", "rank/sessions.csv", _to_folder),
    ("the sweep's lock a folder", "rank/.lock", _to_folder),
    ("runs a file", "rank/runs", _to_file),
    ("the cache a file", ".cache", _to_file),
)


def run_in_child(words: Sequence[str], kill_at: int | None = None) -> tuple[int, str]:
    """Call `ablate run` in a process of its own.

    Args:
        words: The command line.
        kill_at: Number of the file event at which the process kills itself; None for not at all.

    Returns:
        Its exit code, negative for a signal, and what it printed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ablate.cli.run", "ablate.runner.job", "ablate.sweep.execute"])
    with tempfile.NamedTemporaryFile() as output:
        child = context.Process(target=_call, args=(list(words), output.name, kill_at))
        child.start()
        child.join()
        return child.exitcode or 0, Path(output.name).read_text(encoding="utf-8")


def _call(words: list[str], output: str, kill_at: int | None) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from ablate.cli.run import run

    if kill_at is not None:
        below = next(word for word in words if word.startswith("output_dir=")).split("=")[1]
        _kill_at(kill_at, below)
    sys.argv = ["ablate"]
    sys.exit(run(words))


def _kill_at(number: int, below: str) -> None:
    """Kill this process when it is about to touch a file below a folder for the given number of times."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in _EVENTS and str(arguments[0]).startswith(below):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def same_numbers(one: Path, other: Path) -> list[str]:
    """Compare two sweeps' tables cell by cell as they stand in the files; return what differs."""
    differing = []
    for name in ("results.csv", "tasks.csv", "sessions.csv"):
        tables = [pd.read_csv(sweep / name, dtype=str) for sweep in (one, other)]
        kept = [
            table[[c for c in table.columns if not c.endswith(_MEASURED_ANEW)]] for table in tables
        ]
        if not kept[0].equals(kept[1]):
            differing.append(name)
    return differing


def left_over(outputs: Path) -> list[str]:
    """Name what a sweep should not have left: temporary files, records of a run that has ended."""
    return [
        path.relative_to(outputs).as_posix()
        for path in outputs.rglob("*")
        if "damaged" not in path.relative_to(outputs).as_posix()
        and (path.suffix == ".tmp" or path.name in _LEFT)
    ]


def damage(outputs: Path, draw: random.Random, n: int) -> list[str]:
    """Damage `n` runs of a sweep that has ended, or `n - 1` and a file of the whole sweep; return what was done."""
    folders = sorted((outputs / "rank" / "runs").glob("*/"))
    acts = [(folder, *draw.choice(DAMAGES)) for folder in draw.sample(folders, n)]
    if draw.random() < n * len(SWEEP_DAMAGES) / (len(DAMAGES) + len(SWEEP_DAMAGES)):
        acts[-1] = (outputs, *draw.choice(SWEEP_DAMAGES))
    for folder, _, name, act in acts:
        if (folder / name).exists():
            act(folder / name)
    return [what for _, what, *_ in acts]


def main() -> int:
    """Kill, damage, call once, compare; return 0 if all is as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--damages", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        calm, rough = Path(folder) / "calm", Path(folder) / "rough"
        code, output = run_in_child([*SWEEP, f"output_dir={calm}"])
        if code:
            print(output)
            return 1
        words = [*SWEEP, f"output_dir={rough}"]
        killed = finished = 0
        while killed < given.kills:
            code, output = run_in_child(words, kill_at=draw.randrange(1, 60))
            killed += code == -signal.SIGKILL
            if code == 0:
                finished += 1
                shutil.rmtree(rough)
            elif code != -signal.SIGKILL:
                print(output)
                return 1
        print(f"{killed} kills; {finished} sweeps came through in between and were begun anew")
        run_in_child(words)
        for _ in range(given.damages // 2):
            done = damage(rough, draw, 2)
            code, output = run_in_child(words)
            if code or "Traceback" in output:
                print(f"after {done}: exit code {code}\n{output}")
                return 1
        code, output = run_in_child(words)
        differing, left = same_numbers(calm / "rank", rough / "rank"), left_over(rough)
    print(
        f"{given.damages} damages; then exit code {code}, tables that differ: {differing or 'none'}"
    )
    print(f"left over: {left or 'nothing'}; {time.monotonic() - start:.0f} s")
    return int(bool(code or differing or left))


if __name__ == "__main__":
    sys.exit(main())
