"""The kinds of tasks: data sets of the run, multiple choice, answers in words, lm-evaluation-harness."""
