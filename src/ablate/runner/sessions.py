"""Continual learning: what each session's classes score after every session."""

from ablate.data.few_shot import class_sessions
from ablate.evaluation.metrics import mean_forgetting
from ablate.results.record import SessionResult
from ablate.runner.evaluate import EvaluationSet, Outcome, share_correct


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
            measured = share_correct(
                [
                    item
                    for item, label in zip(outcome.answers, labels, strict=True)
                    if label in classes
                ]
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
