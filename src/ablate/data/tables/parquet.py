"""Parquet files as `datasets` reads them: a little at a time, and by the features of the first."""

import pyarrow.parquet as pq
from datasets import ClassLabel, DatasetBuilder, Features
from pyarrow.dataset import ParquetFragmentScanOptions

from ablate.config.errors import ConfigError
from ablate.config.text import printable

_ROWS_AT_A_TIME = 100


def read_piecewise(builder: DatasetBuilder) -> None:
    """Keep the memory that converting a table takes from growing with it, where it is in parquet files."""
    if _is_parquet(builder):
        # Arrow keeps what it reads ahead of a parquet file until the file's end: 20,000 rows of 12 KB took 450 MB
        # to convert with it, 230 MB without, whatever the number of rows.
        builder.config.fragment_scan_options = ParquetFragmentScanOptions(pre_buffer=False)
        builder.config.batch_size = _ROWS_AT_A_TIME


def check_classes(builder: DatasetBuilder) -> None:
    """Check that files on this machine number their classes alike: all are read by what the first says of its numbers.

    Raises:
        ConfigError: If one says otherwise.
    """
    if not _is_parquet(builder):
        return
    read_by = dict(builder.info.features or {})
    for file in (file for files in (builder.config.data_files or {}).values() for file in files):
        for column, feature in Features.from_arrow_schema(pq.read_schema(file)).items():
            known = read_by.setdefault(column, feature)
            if isinstance(feature, ClassLabel) and feature.names != getattr(known, "names", None):
                raise ConfigError(
                    f"Column '{column}' of '{printable(str(file))}' has other classes, or in another order, than the"
                    " files beside it, by which its numbers would be read. Fix: write all with the same ClassLabel."
                )


def _is_parquet(builder: DatasetBuilder) -> bool:
    return getattr(builder.config, "fragment_scan_options", ()) is None
