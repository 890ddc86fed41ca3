"""Vision-language models: their files, loading, device and precision."""
