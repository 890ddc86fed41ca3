"""Data sets that a run is trained and tested on, one file for each kind."""
