"""What the choices of the LoRSU papers' protocol do on the tiny model, one at a time: tables of docs/lorsu_protocol.md.

    python scripts/measure_protocol.py outputs-protocol          # 10 configurations, 3 seeds each
    python scripts/measure_protocol.py outputs-protocol --seeds 0 --only lm

Run again, it goes on. The tiny world's images are square; for the two ways to treat others, they are put at random
places of a wider canvas, 3:2.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ablate.world.scenes import SHAPES
from ablate.world.source import ShapesSource

_OPEN = 'train.open_question="Based on the image, respond to this question with a short answer: {question}"'
_CLIP = ["loss=clip", "train.learning_rate=3.0e-4"]
CHOICES: dict[str, dict[str, list[str]]] = {
    "lm": {
        "as tested": [],
        "open question, word": [_OPEN],
        "open question, sentence": [_OPEN, "data.sentence='it is a {}'"],
        "projector too": ["method@projector=lora-p"],
    },
    "clip": {
        "as it is": _CLIP,
        "one prompt a time": [*_CLIP, "train.clip_text=one"],
        "augmented": [*_CLIP, "+augment@train.augment=clip"],
        "last batch dropped": [*_CLIP, "train.drop_last=true"],
    },
    "aspect": {"crop": ["model.image_aspect=crop"], "pad": ["model.image_aspect=pad"]},
}
_TRAIN, _TEST, _WIDTH = 50, 96, 48
_SHOWN = ("accuracy_before", "accuracy", "control_change", "zero_shot_accuracy")


def widen(folder: Path) -> None:
    """Write the barred shapes as a folder of images of 48 x 32 pixels, each scene at a random place."""
    place = np.random.default_rng(0)
    for part, draw, n in (("train", "train", _TRAIN), ("test", "test", _TEST)):
        rows = range(n * len(SHAPES))
        source = ShapesSource("barred", draw)
        for row, image in zip(rows, source.images(rows), strict=True):
            wide = Image.new("RGB", (_WIDTH, image.height), image.getpixel((0, 0)))
            wide.paste(image, (int(place.integers(_WIDTH - image.width + 1)), 0))
            file = folder / part / SHAPES[source.labels[row]] / f"{row}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            wide.save(file)


def run(output: Path, group: str, seeds: str) -> pd.DataFrame:
    """Run a group of choices; return the means over seeds, one row for each."""
    rows = {}
    for choice, words in CHOICES[group].items():
        name = f"{group}-{choice}".replace(" ", "-").replace(",", "")
        data = []
        if group == "aspect":
            data = [
                "data=imagefolder",
                f"data.path={output / 'wide'}",
                "data.shots=50",
                "train=tiny",
            ]
            data += ["data.question='what shape is there?'"]
        command = [sys.executable, "-c", "from ablate.cli.main import main; main()", "run"]
        command += [*words, *data, f"seeds=[{seeds}]", f"name={name}", f"output_dir={output}"]
        subprocess.run(command, check=True, stdout=sys.stderr)
        results = pd.read_csv(output / name / "results.csv")
        tasks = pd.read_csv(output / name / "tasks.csv")
        target = tasks[tasks["kind"] == "target"].groupby("metric")["value"]
        rows[choice] = {
            **results.mean(numeric_only=True),
            **target.mean(),
            "sd": results["accuracy"].std(),
        }
    return pd.DataFrame(rows).T[[*_SHOWN, "sd"]]


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
