"""Names that nobody would choose, and a sweep that is full of them."""

import dataclasses

import numpy as np
from tests.report.sweeps import finished, task

from ablate.results.record import AblationRecord
from ablate.results.run_folder import RunFolder

SCRIPT = "</script><script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror=window.hacked=1>"
TEMPLATE = "{{7*7}}{% raw %}"
QUOTES = "\"'`><b>&amp;"
MATHS = "$x_{1$ \\frac{"
TURNED = "abc\u202egnp.exe\u2066\u200f"
LINES = "two\nlines\u2028and\x1b[31mred"
LONG = "n" * 10_000
NAMES = (SCRIPT, IMAGE, TEMPLATE, QUOTES, MATHS, TURNED, LINES, LONG)
HOSTILE = AblationRecord(
    "../../" + SCRIPT,
    f"Which {IMAGE}?",
    f"method.{QUOTES}",
    list(NAMES),
    SCRIPT,
    ["accuracy"],
    LONG,
)
N = 40


def hostile_sweep(sweep):
    """Runs whose values, answers, items, tasks, settings and errors are the names above."""
    rng = np.random.default_rng(0)
    ids = [f"{NAMES[n % len(NAMES)]} {n}" for n in range(N)]
    for number, value in enumerate(NAMES):
        for seed in (0, 1):
            scores = (rng.random(N) > 0.5).astype(float)
            about, items = task(IMAGE, "target", scores, np.zeros(N), ids=ids)
            items["answer"] = [NAMES[n % 4] for n in range(N)]
            items["prediction"] = [NAMES[(n + int(s)) % 5] for n, s in enumerate(scores)]
            items["prediction_before"] = TURNED
            costs = {"trainable_parameters": 10 * number + 1, "train_seconds": 2.0 + seed}
            finished(sweep, value, seed, [(about, items)], HOSTILE, config=f"c{number}", **costs)
    broken = finished(sweep, SCRIPT, 9, [(about, items)], HOSTILE, config="broken")
    (broken.path / "result.json").write_text("{")
    failed = finished(sweep, IMAGE, 9, [(about, items)], HOSTILE, config="failed")
    fail(failed, f"ValueError: {SCRIPT}{TEMPLATE}")


def fail(folder: RunFolder, error: str) -> None:
    """Turn a finished run into one that failed."""
    record = folder.read()
    row = {**record.row, "status": "failed", "error": error}
    folder.rewrite(dataclasses.replace(record, row=row, tasks=[]))
