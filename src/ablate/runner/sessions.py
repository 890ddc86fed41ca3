"""Continual learning: what each session's classes score after every session."""

from ablate.data.few_shot import class_sessions
from ablate.evaluation.metrics import accuracy, mean_forgetting
from ablate.results.record import SessionResult
from ablate.runner.evaluate import EvaluationSet, Outcome


def session_results(
    target: EvaluationSet, n_sessions: int, outcomes: list[Outcome]
) -> list[SessionResult]:
    """Split the target's accuracy by the session that its classes belong to.

    Args:
        target: The target data set.
        n_sessions: Number of sessions.
        outcomes: What the model said before training and after each session.

    Returns:
        One row per time of measurement and session; empty in the offline setting of one session.
    """
    if n_sessions == 1:
        return []
    sessions = class_sessions(len(target.data.class_names), n_sessions)
    labels = target.images.labels.tolist()
    results = []
    for after_session, outcome in enumerate(outcomes):
        for number, classes in enumerate(sessions, start=1):
            rows = [row for row, label in enumerate(labels) if label in classes]
            measured = accuracy(
                [outcome.choices[row] for row in rows], [target.items[row].answer for row in rows]
            )
            names = ", ".join(target.data.class_names[label] for label in classes)
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
