"""Put the whole of ablate through a LLaVA of full size and random weights on a GPU, and measure it.

    python scripts/check_gpu.py                                # LLaVA-1.5-7B, within 8 minutes, without a network
    python scripts/check_gpu.py --json gpu.json --batch-size 8
    python scripts/check_gpu.py --device cpu --size tiny       # the same code on any machine; also clip-l: full widths

A line for every number, with its target where there is one: a speed that is missed is said, and is no failure; an
answer that is not what it has to be makes exit code 1. The JSON file is there, whole, after every section, so a run
that is cut off still says something. Sections for which there is no time left are named. Where the GPU's memory does
not suffice, a section is tried again with half the batch.
"""

import argparse
import gc
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
import transformers

import ablate
from ablate.data.types import ImageClassification
from ablate.models.compiled import compile_blocks
from ablate.models.compute import choose_compute
from ablate.models.vlm import VisionLanguageModel
from ablate.results.files import write_text
from gpu import agreement, pipeline, speed
from gpu.measure import Meter, Row, device_name, named_peak
from gpu.model import SIZES, photographs, random_vlm

# Seconds of eight minutes: how long a section may go on measuring, and what it has to have left to begin.
_SECTIONS = {
    "training step": (60, 30),
    "evaluation": (100, 40),
    "runs": (90, 60),
    "answers": (20, 20),
    "batches": (30, 30),
    "devices": (60, 40),
    "float16": (30, 30),
    "out of memory": (20, 20),
    "save and load": (90, 60),
    "compiled": (90, 60),
}
_TEST_IMAGES = 512


class Check:
    """The rows so far, on the terminal and in a file."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Choose the device; nothing is measured yet."""
        self.started = time.perf_counter()
        self.compute = choose_compute(arguments.device, arguments.precision)
        self._arguments = arguments
        self._minutes: float = arguments.minutes
        self._rows: list[Row] = []
        self._about = {
            "device": device_name(self.compute.device),
            "precision": self.compute.precision,
            "size": arguments.size,
            "ablate": ablate.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        print(", ".join(f"{key} {value}" for key, value in self._about.items()), flush=True)

    @property
    def left(self) -> float:
        """Seconds left."""
        return 60 * self._minutes - (time.perf_counter() - self.started)

    def section(self, name: str, measure: Callable[[int, float], Iterator[Row]]) -> None:
        """Take the rows of a section, whatever happens there.

        Args:
            name: Its name.
            measure: From what batches are divided by, and when it should end, to its rows.
        """
        allotted, needed = (seconds * self._minutes / 8 for seconds in _SECTIONS[name])
        if self.left < needed:
            self.add(
                Row(
                    name,
                    "left out",
                    None,
                    note=f"{self.left:.0f} s left of {self._minutes:g} minutes",
                )
            )
            return
        began = time.perf_counter()
        for divisor in (1, 2, 4, 8, 16):
            try:
                for row in measure(divisor, time.perf_counter() + min(allotted, self.left)):
                    self.add(row)
                break
            except torch.OutOfMemoryError as error:
                self.add(Row(name, f"out of memory, batches / {divisor}", None, note=_line(error)))
            except Exception as error:  # the other sections still say something
                self.add(Row(name, "failed", None, note=_line(error), met=False, required=True))
                break
            _free(self.compute.device)
        self.add(Row(name, "section", time.perf_counter() - began, "s"))
        _free(self.compute.device)

    def add(self, row: Row) -> None:
        """Print a row and write all of them."""
        self._rows.append(row)
        value = row.value if isinstance(row.value, str) else _number(row.value)
        met = {None: "", True: "met", False: "MISSED"}[row.met]
        line = f"{row.section:34} {row.measure:52} {value:>12} {row.unit:6} {row.target:9} {met:6} {row.note}"
        print(line.rstrip(), flush=True)
        self.write(complete=False)

    def write(self, complete: bool) -> None:
        """Write the file, whole."""
        if self._arguments.json is not None:
            seconds = round(time.perf_counter() - self.started, 1)
            content = {**self._about, "complete": complete, "seconds": seconds}
            rows = [row.as_dict() for row in self._rows]
            write_text(self._arguments.json, json.dumps({**content, "rows": rows}, indent=1))

    @property
    def failed(self) -> int:
        """How many rows had to be met and were not."""
        return sum(row.required and row.met is False for row in self._rows)


def measure_all(check: Check, arguments: argparse.Namespace) -> None:
    """Make the model and go through the sections, the most telling first."""
    compute = check.compute
    given = None if arguments.peak_tflops is None else arguments.peak_tflops * 1e12
    meter = Meter(compute, given or named_peak(compute.device, compute.precision))
    check.add(Row("device", "one large matrix product", meter.gemm / 1e12, "TFLOP/s"))
    peak = None if meter.peak is None else meter.peak / 1e12
    check.add(Row("device", "the maker's peak", peak, "TFLOP/s"))
    size = SIZES[arguments.size]
    made: list[VisionLanguageModel] = []
    seconds = meter.seconds(lambda: made.append(random_vlm(size, compute)))
    vlm = made[0]
    n = sum(parameter.numel() for parameter in vlm.parameters())
    check.add(Row("model", "parameters", n / 1e9, "1e9", note=f"made in {seconds:.1f} s"))
    data = photographs(3 * arguments.batch_size + 5, arguments.test_images)
    plain = speed.Plain(vlm, data, meter)
    smaller = SIZES["clip-l"] if arguments.size == "7b" else size
    train, evaluate = arguments.batch_size, arguments.eval_batch_size

    def wanted(name: str) -> bool:
        return not arguments.only or name in arguments.only

    sections: dict[str, Callable[[int, float], Iterator[Row]]] = {
        "training step": lambda by, end: speed.training_step(
            vlm, data, meter, _part(train, by), end
        ),
        "evaluation": lambda by, end: speed.evaluation(
            vlm, data, meter, plain, _part(evaluate, by), end
        ),
        "runs": lambda by, _: pipeline.training(vlm, data, meter, _part(train, by)),
        "answers": lambda by, _: pipeline.evaluation(vlm, data, meter, _part(evaluate, by)),
        "batches": lambda by, _: agreement.batches(vlm, data, meter, 64, _part(evaluate, by)),
        "devices": lambda _by, _end: agreement.devices(smaller, data, meter),
        "float16": lambda _by, _end: pipeline.half_precision(smaller, data, meter),
        "out of memory": lambda by, _: pipeline.little_memory(vlm, data, meter, _part(train, by)),
        "save and load": lambda _by, _end: _saved(vlm, data, meter, arguments.keep),
        "compiled": lambda by, end: _compiled(
            vlm, data, meter, plain, (_part(train, by), _part(evaluate, by)), end
        ),
    }
    for name, measure in sections.items():
        if wanted(name):
            check.section(name, measure)
    check.write(complete=True)


def _saved(
    vlm: VisionLanguageModel, data: ImageClassification, meter: Meter, keep: Path | None
) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        yield from pipeline.saving(vlm, data, meter, keep or Path(folder) / "model")


def _compiled(
    vlm: VisionLanguageModel,
    data: ImageClassification,
    meter: Meter,
    plain: speed.Plain,
    batch_sizes: tuple[int, int],
    deadline: float,
) -> Iterator[Row]:
    """Time step and evaluation again as `model.compile=true` has them."""
    compile_blocks(vlm)
    train, evaluate = batch_sizes
    try:
        for part in (
            speed.training_step(vlm, data, meter, train, deadline, compiled=True),
            speed.evaluation(vlm, data, meter, plain, evaluate, deadline, compiled=True),
        ):
            yield from part
    finally:
        torch.compiler.reset()


def _part(batch_size: int, divisor: int) -> int:
    return max(1, batch_size // divisor)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def main() -> int:
    """Check what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--size", default="7b", choices=SIZES)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--batch-size", type=int, default=16, help="images in a training step")
    parser.add_argument(
        "--eval-batch-size", type=int, default=32, help="questions in a forward pass"
    )
    parser.add_argument("--test-images", type=int, default=_TEST_IMAGES)
    parser.add_argument(
        "--peak-tflops", type=float, help="the device's peak, where it is not known"
    )
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--keep", type=Path, help="folder that the model is saved in, and stays in")
    parser.add_argument("--only", nargs="+", choices=_SECTIONS, help="sections, instead of all")
    arguments = parser.parse_args()
    check = Check(arguments)
    measure_all(check, arguments)
    print(f"{check.failed} checks failed; {time.perf_counter() - check.started:.0f} s")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
