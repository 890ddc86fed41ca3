"""Build the tiny models that the package ships, from a seed and nothing else.

`python scripts/build_tiny.py` writes `src/ablate/models/tiny` in about half an hour: the tiny LLaVA
and its CLIP (9 minutes on two CPU threads), a language model of its own (11 minutes on one thread) and
five encoders (12 minutes on one thread). `--only` builds a part alone; none needs another's files. All
values are in `tiny/config.yaml`. The same machine gives the same bytes; another one may round otherwise.
"""

import argparse
import time
from pathlib import Path

from tiny.build import PARTS
from tiny.config import read_config
from tiny.models import write_checksums

_FOLDER = Path(__file__).parent


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=_FOLDER / "tiny" / "config.yaml")
    parser.add_argument("--folder", type=Path, default=_FOLDER.parent / "src/ablate/models/tiny")
    parser.add_argument("--only", choices=list(PARTS), help="build this part alone")
    arguments = parser.parse_args()
    started = time.perf_counter()
    config = read_config(arguments.config)
    for part in [arguments.only] if arguments.only else PARTS:
        PARTS[part](config, arguments.folder)
    write_checksums(arguments.folder)
    size_mb = (
        sum(path.stat().st_size for path in arguments.folder.rglob("*") if path.is_file()) / 1e6
    )
    minutes = (time.perf_counter() - started) / 60
    print(f"Built {arguments.folder}: {size_mb:.2f} MB in {minutes:.1f} minutes.")


if __name__ == "__main__":
    main()
