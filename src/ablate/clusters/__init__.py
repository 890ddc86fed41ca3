"""Runs made by other processes and machines: what launchers hand them to, and how they ended there."""
