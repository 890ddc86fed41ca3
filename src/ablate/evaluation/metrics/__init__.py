"""Metrics over plain lists, all of them fractions."""
