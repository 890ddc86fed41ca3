"""A Slurm of one node, all of its state in one folder; Debian's packages slurm-wlm and munge."""

import getpass
import os
import platform
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=10000
MpiDefault=none
ReturnToService=2
KillWait=2
EnforcePartLimits=ALL
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
_PATIENCE_SECONDS = 30


@contextmanager
def slurm_node() -> Iterator[Path]:
    """Start Slurm's daemons for the length of the block; yield what SLURM_CONF has to be."""
    missing = [name for name in ("munged", "slurmctld", "slurmd") if _program(name) is None]
    if missing:
        raise RuntimeError(f"{missing} not found. Fix: apt-get install slurm-wlm munge")
    with ExitStack() as stack:
        # munge refuses a socket below a folder that only its owner can enter, such as pytest's.
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o755)
        key = folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        configuration = folder / "slurm.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                host=platform.node().partition(".")[0],
                user=getpass.getuser(),
                folder=folder,
                ports=_free_ports(2),
            )
        )
        munge = folder / "munge"
        _start(
            stack,
            [
                "munged",
                "--foreground",
                f"--key-file={key}",
                f"--socket={munge / 'socket'}",
                f"--pid-file={munge / 'pid'}",
                f"--log-file={munge / 'log'}",
                f"--seed-file={munge / 'seed'}",
            ],
            munge / "out",
        )
        _wait_until((munge / "socket").exists, munge / "out")
        for name in ("slurmctld", "slurmd"):
            _start(stack, [name, "-D", "-f", str(configuration)], folder / f"{name}.out")
        environment = {**os.environ, "SLURM_CONF": str(configuration)}
        asked = ["sinfo", "--noheader", "--format=%t"]
        _wait_until(
            lambda: (
                subprocess.run(
                    asked, env=environment, capture_output=True, text=True
                ).stdout.strip()
                == "idle"
            ),
            folder / "slurmctld.out",
        )
        yield configuration


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _start(stack: ExitStack, command: list[str], output: Path) -> None:
    with output.open("w") as file:
        process = subprocess.Popen(
            [str(_program(command[0])), *command[1:]], stdout=file, stderr=subprocess.STDOUT
        )
    stack.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until(is_ready, output: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            raise RuntimeError(output.read_text())
        time.sleep(0.1)


def _free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
