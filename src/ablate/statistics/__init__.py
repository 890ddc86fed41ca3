"""Tests over arrays: which differences hold, of seeds and items both drawn at random."""
