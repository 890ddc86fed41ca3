"""Copies of a run's numbers in wandb, MLflow, trackio or TensorBoard; its row never depends on them."""
