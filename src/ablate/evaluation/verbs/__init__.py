"""Ways to get an answer from a model: the log-likelihood of options, generation, CLIP zero-shot."""
