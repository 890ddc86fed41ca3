"""Ways to adapt a model, each a set of hooks around the training loop."""
