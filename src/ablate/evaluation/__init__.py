"""Evaluation: tasks, the verbs that put items to a model, the metrics of its answers, and the cache of answers."""
