"""Losses, schedules and a loop that is independent of the method."""
