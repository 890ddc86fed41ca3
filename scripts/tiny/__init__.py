"""How the shipped tiny models are made: `build_tiny.py` runs it, `config.yaml` has its values."""
