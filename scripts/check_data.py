"""Does memory grow with a data set? The peak while a set of 5,000 and one of 50,000 rows are read and looked through.

    python scripts/check_data.py [--rows 5000 50000] [--kinds hub choices yes-no]

A set is written as the hub holds it (parquet, images of 12 KB inside), and read in a process of its own as
`ablate run` does before a model is loaded: every image is decoded and hashed, training images are drawn and
compared with all that are tested, which is half of them; 256 test images are read. Anonymous memory is what
the process holds; a memory-mapped file counts in the resident set as well, while the system has no other use
for the space, so both are printed. The ratio is that of anonymous memory. Seconds are those of reading for the
first time, which turns parquet into a memory-mapped copy, and of comparing.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

_SIDE_PX = 64
_CLASSES = ("cat", "dog", "eel", "fox")
_MIB = 1 << 20
_ROWS_PER_GROUP = 1000
_READ = 256
KINDS = ("hub", "choices", "yes-no")


def main() -> int:
    """Measure every kind at both sizes, and print how much more the larger one takes."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rows", type=int, nargs=2, default=[5000, 50000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    given = parser.parse_args()
    print("kind        rows  file MiB  anonymous MiB  resident MiB  read s  compare s")
    with tempfile.TemporaryDirectory() as folder:
        files = {n: write(Path(folder) / f"{n}.parquet", n) for n in given.rows}
        for kind in given.kinds:
            peaks = {n: measured(kind, file, Path(folder)) for n, file in files.items()}
            for n, (anonymous, resident, read_s, compare_s) in peaks.items():
                size = files[n].stat().st_size / _MIB
                print(
                    f"{kind:<8} {n:>7} {size:>9.0f} {anonymous:>14.0f} {resident:>13.0f}"
                    f" {read_s:>7.1f} {compare_s:>10.1f}"
                )
            small, large = (peaks[n][0] for n in given.rows)
            print(f"{kind}: ratio {large / small:.2f}")
    return 0


def write(file: Path, n: int) -> Path:
    """Write `n` rows: an image of noise each, which does not compress, its class, and questions about it."""
    random = np.random.default_rng(0)
    schema = None
    writer: pq.ParquetWriter | None = None
    for start in range(0, n, _ROWS_PER_GROUP):
        rows = [_row(random, number) for number in range(start, min(n, start + _ROWS_PER_GROUP))]
        table = pa.Table.from_pylist(rows, schema)
        if writer is None:
            schema = table.schema
            writer = pq.ParquetWriter(file, schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return file


def _row(random: np.random.Generator, number: int) -> dict[str, Any]:
    content = BytesIO()
    noise = random.integers(0, 256, (_SIDE_PX, _SIDE_PX, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, "PNG", compress_level=1)
    answer = number % len(_CLASSES)
    return {
        "image": {"bytes": content.getvalue(), "path": None},
        "label": _CLASSES[answer],
        "question": f"Which animal is in picture {number}, seen from the side of the river?",
        "options": list(_CLASSES),
        "answer": "ABCD"[answer],
        "truth": number % 2,
    }


def measured(kind: str, file: Path, folder: Path) -> tuple[float, float, float, float]:
    """Have a process read the file: peaks of anonymous and resident memory in MiB, seconds to read and to compare."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(kind, str(file), str(folder), theirs))
    process.start()
    theirs.close()
    found: tuple[float, float, float, float] = mine.recv()
    process.join()
    return found


def _look(kind: str, file: str, folder: str, result: Any) -> None:  # noqa: ANN401  # a private class
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": folder}
    with _peaks() as peaks:
        seconds = look(kind, file)
    result.send((*peaks, *seconds))


def look(kind: str, file: str) -> tuple[float, float]:
    """Read a set as `ablate run` does before a model is loaded, and some of its images.

    Returns:
        Seconds to read it, and to compare what is drawn with what is tested.
    """
    from ablate.config.reading import read_run_config
    from ablate.config.schema.data import TableData
    from ablate.evaluation.tasks.classification import ClassificationTask
    from ablate.plans.base import compose_words
    from ablate.recipes.data import load_data
    from ablate.runner.overlap import check_apart

    columns = {
        "hub": [],
        "choices": ["data.columns.options=options"],
        "yes-no": ["data.columns.answer=truth"],
    }
    words = [f"data={kind}", f"data.path={file}", "data.parts.test=null"]
    run = read_run_config(compose_words([*words, *columns[kind]], None).config)
    assert isinstance(run.data, TableData)
    start = time.perf_counter()
    data = load_data(run.data)
    task = ClassificationTask(data, run.data, "target", run.eval, has_clip=True)
    is_read = time.perf_counter()
    check_apart(data, run.data, 0, [task])
    is_compared = time.perf_counter()
    for row in range(_READ):
        data.test.images([row])
    return is_read - start, is_compared - is_read


@contextmanager
def _peaks() -> Iterator[list[float]]:
    """Yield a list that holds, afterwards, the peaks of anonymous and resident memory in MiB."""
    peaks = [0.0, 0.0]
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.01):
            found = dict(
                line.split(":") for line in Path("/proc/self/status").read_text().splitlines()
            )
            peaks[0] = max(peaks[0], int(found["RssAnon"].split()[0]) / 1024)
            peaks[1] = max(peaks[1], int(found["VmHWM"].split()[0]) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        is_over.set()
        watcher.join()


if __name__ == "__main__":
    sys.exit(main())
