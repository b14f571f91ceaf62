"""Child processes: started on a chosen core, looked at through /proc, and always ended by their own pid.

Owns every use of /proc, affinity and signals. Knows nothing of proxies or scenarios.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

EVERY = -2
"""In place of a core: all of them."""
TICKS = os.sysconf("SC_CLK_TCK")


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one, for all children too, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago; who binds it must cope with losing a race."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Make children started inside run on `core` only; a child inherits the affinity of the thread that starts it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core == EVERY else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(
    argv: Sequence[str], *, core: int, log: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `argv` on `core`. With `log` both outputs go to that file, otherwise stdout is a pipe.

    `env` is added to our own environment.
    """
    with pinned(core):
        if log is None:
            return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        whole = os.environ | dict(env or {})
        with log.open("w") as sink:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, text=True, env=whole
            )


def stop(process: subprocess.Popen[str], *, patience: float = 5.0) -> None:
    """End `process` and what it started: TERM, then KILL after `patience` seconds."""
    others = {pid: _born(pid) for pid in family(process.pid) if pid != process.pid}
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid, born in others.items():
        # The same birth time: the pid has not been given to somebody else meanwhile.
        if born is not None and _born(pid) == born:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def wait_for_port(process: subprocess.Popen[str], port: int, *, patience: float = 30.0) -> bool:
    """Wait until something listens on `port`; False when `process` ended or `patience` seconds passed first."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.02)
    return False


def family(pid: int) -> list[int]:
    """Return `pid` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int(_stat_fields(entry)[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return CPU seconds, user and kernel, of all threads of `pids`.

    The scheduler's own nanosecond count is used where the kernel has it; utime + stime come in steps of 10 ms.
    """
    return sum(_cpu_of(Path(f"/proc/{pid}")) for pid in pids)


def cpu_by_thread(pids: Iterable[int]) -> dict[str, float]:
    """Return CPU seconds of the living threads of `pids` by their names; without the scheduler's count there are none."""
    found: dict[str, float] = {}
    for task in (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()):
        with suppress(OSError):
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
            name = (task / "comm").read_text().rstrip("\n")
            found[name] = found.get(name, 0.0) + seconds
    return found


def anonymous_bytes(pids: Iterable[int]) -> int:
    """Return the memory in bytes that belongs to `pids` alone or in shares: Pss of anonymous and shared pages.

    Pages of programs and libraries are left out: they do not grow with connections.
    """
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


@dataclass(frozen=True, kw_only=True)
class CoreTime:
    """Seconds a core has spent since boot: at work, and stolen by the machine's other tenants."""

    busy: float
    stolen: float

    @classmethod
    def read(cls, core: int) -> CoreTime:
        """Read the counters of `core`."""
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith(f"cpu{core} "):
                user, nice, system, _idle, _iowait, irq, softirq, steal = (int(f) / TICKS for f in line.split()[1:9])
                return cls(busy=user + nice + system + irq + softirq, stolen=steal)
        raise ValueError(f"no core {core}")


def _cpu_of(process: Path) -> float:
    try:
        tasks = list((process / "task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        fields = _stat_fields(process)
        return (int(fields[11]) + int(fields[12])) / TICKS


def _stat_fields(process: Path) -> list[str]:
    """Fields of /proc/PID/stat after the command, which may itself hold blanks and brackets."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def _born(pid: int) -> str | None:
    try:
        return _stat_fields(Path(f"/proc/{pid}"))[19]
    except OSError:
        return None
