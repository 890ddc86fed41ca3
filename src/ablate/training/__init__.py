"""Losses, schedules and the loop that knows no method by name."""
