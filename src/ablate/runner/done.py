"""Which runs are done: their record is whole, and so is what it says they left."""

from dataclasses import replace

from ablate.config.errors import ConfigError
from ablate.models.files import check_files
from ablate.results.record import DamagedRecordError, RunRecord
from ablate.runner.prepare import PreparedRun
from ablate.runner.record import ablation_record, suite_record


def is_done(prepared: PreparedRun) -> bool:
    """Tell whether a run has succeeded before, with all that is requested now.

    A run that is damaged is not done: `set_damage_aside` says so and moves it out of the way.
    """
    record = None if prepared.config.force else _readable(prepared)
    if record is None or record.status != "ok":
        return False
    if prepared.config.save_model and not _has_model(prepared):
        return False
    return prepared.folder.what_is_damaged(record) is None


def set_damage_aside(prepared: PreparedRun) -> str | None:
    """Move a damaged run out of its folder, so that it can be made again.

    Returns:
        One line that says what was damaged and where it is now; None if nothing is, or another
        process owns the folder.
    """
    folder = prepared.folder
    if _damage(prepared) is None:
        return None
    with folder.owned(wait=False) as mine:
        # Another process may have done so a moment ago.
        reason = _damage(prepared) if mine else None
        if reason is None:
            return None
        place = folder.set_aside()
    return f"{folder.run_id} is damaged ({reason}): set aside in {place}, will be run again"


def update_record(prepared: PreparedRun) -> None:
    """Write into a finished run what may change without new answers: the ablation's words, the stable tasks."""
    record = _readable(prepared)
    if record is None:
        return
    wanted = replace(
        record, suite=suite_record(prepared), ablation=ablation_record(prepared.config)
    )
    if wanted != record:
        with prepared.folder.owned(wait=True):
            prepared.folder.rewrite(wanted)


def _readable(prepared: PreparedRun) -> RunRecord | None:
    try:
        return prepared.folder.read()
    except DamagedRecordError:
        return None


def _damage(prepared: PreparedRun) -> str | None:
    """Say what is damaged of a run, or None."""
    try:
        record = prepared.folder.read()
    except DamagedRecordError as error:
        return str(error)
    if record is None or record.status != "ok":
        return None
    return prepared.folder.what_is_damaged(record)


def _has_model(prepared: PreparedRun) -> bool:
    """Tell whether the saved model is there and its weight files open."""
    path = prepared.folder.model_path
    if not path.is_dir():
        return False
    try:
        check_files(str(path), None)
    except ConfigError:
        return False
    return True
