"""From an ablation to its runs, through a Hydra launcher."""
