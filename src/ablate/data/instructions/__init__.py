"""Conversations in files that a vision-language model is trained on."""
