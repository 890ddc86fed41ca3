"""Write down what the shipped ablations find on the tiny model, or compare it with what was written down before.

    python scripts/pin_numbers.py PINS.json              # before a change
    python scripts/pin_numbers.py PINS.json --compare    # after it: exit code 1 and a line for whatever differs

Run ids, item ids and counts have to be equal everywhere. Numbers and predictions are equal bit for bit on one machine
with one number of threads, so there `--exact` holds too: it compares the digests of updates and answers as well.
`--small` makes runs of a few steps and items, which is what the test of this script does.
"""

import argparse
import json
import math
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.cli.main import dispatch

ABLATIONS: dict[str, list[str]] = {
    "rank": ["ablation.values=[8,64]"],
    "heads": ["ablation.values=[2,4]"],
    "sessions": ["ablation.values=[1,2]"],
    "method": ["ablation.values=[frozen,full,adalora,lorsu]"],
    "encoder": ["ablation.values=[tiny-siglip,tiny-resnet]", "ablation.baseline=tiny-siglip"],
    "freeze": ["ablation.values=[frozen,lora]"],
}
_ON_INSTRUCTIONS = ("encoder", "freeze")
_SMALL = ["train.epochs=2", "data.shots=2", "data.test_items=24", "controls.source.test_items=24"]
_SMALL_INSTRUCTIONS = ["train.epochs=1", "data.scenes=64", "align=null"]
# How the numbers of two machines may differ after a few steps.
_NUMBER_TOLERANCE, _AGREEING = 0.1, 0.9
_EXACT_COLUMNS = (
    "config_id",
    "status",
    "encoder",
    "method",
    "n_items",
    "trainable_parameters",
    "effective_parameters",
)
_NUMBERS = (
    "accuracy",
    "accuracy_before",
    "control_change",
    "forgetting",
    "vision_stable_score",
    "text_stable_score",
)


def pin(small: bool, only: list[str]) -> dict[str, Any]:
    """Run the ablations with seed 0 and return what each run found, by ablation and run id."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in only:
            words = [f"+ablation={name}", "seeds=[0]", f"output_dir={folder}"]
            if small:
                words += [
                    *ABLATIONS[name],
                    *(_SMALL_INSTRUCTIONS if name in _ON_INSTRUCTIONS else _SMALL),
                ]
            with redirect_stdout(sys.stderr):
                code = dispatch(["run", *words])
            if code:
                raise SystemExit(f"{name} ended with exit code {code}")
            found[name] = _read(Path(folder) / name)
    return found


def _read(folder: Path) -> dict[str, Any]:
    """Return what the runs of a sweep found, by run id."""
    rows = (
        pd.read_csv(folder / "results.csv").astype(object).where(lambda table: table.notna(), None)
    )
    runs = {}
    for row in rows.to_dict("records"):
        run = folder / "runs" / str(row["run_id"])
        items = pd.read_parquet(run / "items.parquet")
        record = json.loads((run / "result.json").read_text(encoding="utf-8"))
        runs[str(row["run_id"])] = {
            "row": {key: row.get(key) for key in (*_EXACT_COLUMNS, *_NUMBERS)},
            "tasks": [
                [t["task"], t["kind"], t["metric"], t["n"], t["chance"], t["value"]]
                for t in record["tasks"]
            ],
            "items": [[*i[:4], None if i[4] is None else str(i[4])] for i in _items(items)],
            "digest": record["digest"],
        }
    return runs


def _items(items: pd.DataFrame) -> list[list[Any]]:
    columns = ["task", "metric", "item_id", "answer", "prediction"]
    return items[columns].astype(object).where(items[columns].notna(), None).to_numpy().tolist()


def differences(before: dict[str, Any], now: dict[str, Any], exact: bool) -> list[str]:
    """Say in a line each what differs between two pins.

    Args:
        before: What `pin` returned.
        now: The same, of other code or another machine.
        exact: Compare numbers, predictions and digests bit for bit.
    """
    lines = []
    for name in before:
        if not set(before[name]) <= set(now.get(name, {})):
            lines.append(f"{name}: runs {sorted(before[name])} became {sorted(now.get(name, {}))}")
            continue
        for run_id, old in before[name].items():
            lines += [
                f"{name}/{run_id}: {line}"
                for line in _run_differences(old, now[name][run_id], exact)
            ]
    return lines


def _run_differences(old: dict[str, Any], new: dict[str, Any], exact: bool) -> list[str]:
    lines = [
        f"{key} was {old['row'][key]} and is {new['row'][key]}"
        for key in (*_EXACT_COLUMNS, *_NUMBERS)
        if not _is_close(old["row"][key], new["row"][key], exact or key in _EXACT_COLUMNS)
    ]
    if [task[:5] for task in old["tasks"]] != [task[:5] for task in new["tasks"]]:
        lines.append("the tasks differ")
    if [item[:4] for item in old["items"]] != [item[:4] for item in new["items"]]:
        return [*lines, "the items differ"]
    same = sum(a[4] == b[4] for a, b in zip(old["items"], new["items"], strict=True))
    if same < len(old["items"]) * (1.0 if exact else _AGREEING):
        lines.append(f"{len(old['items']) - same} of {len(old['items'])} predictions differ")
    if exact and old["digest"] != new["digest"]:
        lines.append("the digest of update and answers differs")
    return lines


def _is_close(one: object, other: object, exact: bool) -> bool:
    if exact or not isinstance(one, float) or not isinstance(other, float):
        return bool(one == other)
    return math.isclose(one, other, abs_tol=_NUMBER_TOLERANCE)


def main() -> None:
    """Pin or compare, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pins", type=Path)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", choices=ABLATIONS, default=list(ABLATIONS))
    arguments = parser.parse_args()
    now = pin(arguments.small, arguments.only)
    if not arguments.compare:
        arguments.pins.write_text(json.dumps(now, indent=1), encoding="utf-8")
        return
    before = json.loads(arguments.pins.read_text(encoding="utf-8"))
    lines = differences({name: before[name] for name in arguments.only}, now, arguments.exact)
    print("\n".join(lines) or "nothing differs")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
