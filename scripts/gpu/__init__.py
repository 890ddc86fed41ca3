"""What `check_gpu.py` measures: each module has the measurements of one kind."""
