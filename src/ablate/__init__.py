"""Config-driven ablations of vision-language models."""

__version__ = "0.1.0"
