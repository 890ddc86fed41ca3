"""How a model is trained, as a list of stages: few-shot continual learning, LLaVA's two stages."""
