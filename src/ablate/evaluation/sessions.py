"""Continual learning: what each session's classes score after every session."""

from collections.abc import Sequence

from ablate.evaluation.metrics.accuracy import mean_forgetting
from ablate.evaluation.task import Answers
from ablate.evaluation.tasks.classification import VQA, ClassificationTask
from ablate.results.record import SessionResult


def session_results(task: ClassificationTask, answers: Sequence[Answers]) -> list[SessionResult]:
    """Split the target's accuracy by the session that its classes belong to.

    Args:
        task: The target.
        answers: What the model answered before training and after each session.

    Returns:
        One row per time of measurement and session; empty in the offline setting of one session, and where sessions
        are not made of classes.
    """
    if len(task.sessions) <= 1:
        return []
    results = []
    for after_session, answered in enumerate(answers):
        for number, classes in enumerate(task.sessions, start=1):
            items = [
                item
                for item, label in zip(answered[VQA], task.labels, strict=True)
                if label in classes
            ]
            measured = task.score(VQA, items)
            names = ", ".join(task.class_names[label] for label in classes)
            results.append(SessionResult(after_session, number, names, measured.value, measured.n))
    return results


def forgetting(results: list[SessionResult]) -> float | None:
    """Return the mean forgetting of all but the last session; None in the offline setting."""
    n_sessions = max((result.session for result in results), default=0)
    curves = [
        [r.accuracy for r in results if r.session == number and r.after_session >= number]
        for number in range(1, n_sessions)
    ]
    return mean_forgetting(curves)
