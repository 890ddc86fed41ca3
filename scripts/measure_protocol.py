"""What the choices of the LoRSU protocol do on the tiny model, one at a time: a table of docs/lorsu_protocol.md.

    python scripts/measure_protocol.py outputs-protocol          # 14 configurations, 3 seeds each: 18 min of a core
    python scripts/measure_protocol.py outputs-protocol --seeds 0 --only lm

The images are scikit-learn's scans of digits: 10 of each to train on, 400 to test. They are square; for the two ways
to treat others, they are put at random places of a wider canvas, 3:2. Run again, it goes on.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ablate.config.reading import read_run_config
from ablate.config.schema import DigitsData
from ablate.data.sources.digits import load_digits
from ablate.data.types import ImageSource
from ablate.plans.base import compose_words

_SHORT = ["data.shots=10", "data.test_items=400", "controls.source.test_items=256"]
_DIGITS = [*_SHORT, "data=digits"]
_WIDE = [*_SHORT, "data=imagefolder", "data.question='what is this?'"]
_OPEN = 'train.open_question="Based on the image, respond to this question with a short answer: {question}"'
_CLIP = [*_DIGITS, "loss=clip", "train.learning_rate=3.0e-4"]
_SESSIONS = [*_DIGITS, "data.sessions=5"]
_BY_SHAPE = "data.session_classes=[[zero,eight],[one,seven],[two,three],[four,nine],[five,six]]"
# The first of each group is what the others are compared with.
CHOICES: dict[str, dict[str, list[str]]] = {
    "lm": {
        "as tested": _DIGITS,
        "open question, word": [*_DIGITS, _OPEN],
        "open question, sentence": [*_DIGITS, _OPEN, "data.sentence='it is a {}'"],
        "projector too": [*_DIGITS, "method@projector=lora-p"],
    },
    "system": {
        "a curious human": [*_DIGITS, "conversation@model=llava-v1"],
        "a curious user": [*_DIGITS, "conversation@model=vicuna-v1"],
    },
    "sessions": {
        "in their order": _SESSIONS,
        "listed": [*_SESSIONS, _BY_SHAPE],
    },
    "clip": {
        "mean of prompts, no change": _CLIP,
        "one prompt a time": [*_CLIP, "train.clip_text=one"],
        "augmented": [*_CLIP, "+augment@train.augment=clip"],
        "last batch dropped": [*_CLIP, "train.drop_last=true"],
    },
    "aspect": {
        "crop": [*_WIDE, "model.image_aspect=crop"],
        "pad": [*_WIDE, "model.image_aspect=pad"],
    },
}
_SHOWN = ("accuracy_before", "accuracy", "control_change", "zero_shot_accuracy")


def widen(folder: Path) -> None:
    """Write the digits as a folder of images of 12 x 8 pixels, each scan at a random place."""
    config = read_run_config(compose_words(["data=digits"], None).config).data
    assert isinstance(config, DigitsData)
    digits = load_digits(config)
    place = np.random.default_rng(0)
    parts: dict[str, ImageSource] = {"train": digits.train, "test": digits.test}
    for part, source in parts.items():
        rows = range(len(source.ids))
        for row, image in zip(rows, source.images(rows), strict=True):
            wide = Image.new("RGB", (image.width * 3 // 2, image.height), "white")
            wide.paste(image, (int(place.integers(wide.width - image.width + 1)), 0))
            file = folder / part / digits.class_names[source.labels[row]] / f"{row}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            wide.save(file)


def run(output: Path, group: str, seeds: str) -> pd.DataFrame:
    """Run a group of choices.

    Returns:
        One row for each: means over seeds, and of the difference in accuracy to the first, seed by seed, its mean
        and standard deviation.
    """
    rows, first = {}, None
    for choice, words in CHOICES[group].items():
        name = f"{group}-{choice}".replace(" ", "-").replace(",", "")
        place = [f"data.path={output / 'wide'}"] if group == "aspect" else []
        command = [sys.executable, "-c", "from ablate.cli.main import main; main()", "run"]
        command += [*words, *place, f"seeds=[{seeds}]", f"name={name}", f"output_dir={output}"]
        subprocess.run(command, check=True, stdout=sys.stderr)
        results = pd.read_csv(output / name / "results.csv").set_index("seed").sort_index()
        tasks = pd.read_csv(output / name / "tasks.csv")
        target = tasks[tasks["kind"] == "target"].groupby("metric")["value"]
        first = results["accuracy"] if first is None else first
        difference = results["accuracy"] - first
        rows[choice] = {
            **results.mean(numeric_only=True),
            **target.mean(),
            "difference": difference.mean(),
            "sd": difference.std(),
        }
    return pd.DataFrame(rows).T[[*_SHOWN, "difference", "sd"]]


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--only", nargs="+", choices=CHOICES, default=list(CHOICES))
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    if "aspect" in arguments.only and not (output / "wide").exists():
        widen(output / "wide")
    for group in arguments.only:
        print(f"\n{group}\n{run(output, group, arguments.seeds).round(3).to_string()}", flush=True)


if __name__ == "__main__":
    main()
