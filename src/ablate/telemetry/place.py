"""Which machine, process, job and GPU something is computed by."""

import os
import platform


def place() -> str:
    """Say where this process is: its machine, its Slurm job and the GPUs it was given, as far as there are any."""
    words = [f"on {platform.node()} by process {os.getpid()}"]
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if job:
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        words.append(f"Slurm job {job}_{task}" if task else f"Slurm job {job}")
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    if gpus:
        words.append(f"GPU {gpus}")
    return ", ".join(words)
