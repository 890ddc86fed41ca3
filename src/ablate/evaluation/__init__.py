"""Accuracy of a vision-language model: multiple choice through the VLM, CLIP zero-shot."""
