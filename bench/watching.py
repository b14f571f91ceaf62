"""Looks into a running process while it works: its system calls, its CPU split, its instructions and its stacks.

Owns the command lines of strace and perf and reads what they print.

Each is a block: it is attached when the block begins and has let go when it ends. Must not start what it looks at.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 10.0
"""Seconds that attaching and letting go may take."""


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """CPU seconds so far, as the kernel splits them. They come in steps of its clock tick (10 ms as a rule)."""

    user: float
    kernel: float

    @classmethod
    def read(cls, pids: Iterable[int]) -> Cpu:
        """Sum over all threads of `pids`."""
        user = kernel = 0
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    fields = (task / "stat").read_text().rpartition(")")[2].split()
                    user, kernel = user + int(fields[11]), kernel + int(fields[12])
        tick = os.sysconf("SC_CLK_TCK")
        return cls(user=user / tick, kernel=kernel / tick)


@dataclass(kw_only=True)
class Calls:
    """System calls by name."""

    counts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)


def calls_of(summary: str) -> Calls:
    """Read the table of `strace -c`: share, seconds, microseconds per call, calls, errors (or nothing), name."""
    calls = Calls()
    for line in summary.splitlines():
        words = line.split()
        if len(words) in (5, 6) and words[-1] != "total" and re.fullmatch(r"[\d.]+", words[0]):
            calls.counts[words[-1]] = int(words[3])
            if len(words) == 6:
                calls.errors[words[-1]] = int(words[4])
    return calls


def counters_of(text: str) -> dict[str, int]:
    """Read `perf stat -x ,`: counters by event; those that the machine does not have are left out."""
    counters: dict[str, int] = {}
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].isdigit():
            counters[fields[2]] = int(fields[0])
    return counters


@contextmanager
def system_calls(pids: Sequence[int], directory: Path) -> Iterator[Calls]:
    """Count the system calls of all threads of `pids` inside the block."""
    calls, out = Calls(), directory / "strace.txt"
    attach = [word for pid in pids for word in ("-p", str(pid))]
    with _attached(["strace", "-c", "-f", "-o", str(out), *attach], directory / "strace.log", pids):
        yield calls
    read = calls_of(out.read_text())
    calls.counts, calls.errors = read.counts, read.errors


@contextmanager
def instructions(pids: Sequence[int], directory: Path) -> Iterator[dict[str, int]]:
    """Count instructions in user space and in the kernel; the mapping stays empty where the machine counts none."""
    counters: dict[str, int] = {}
    out = directory / "stat.txt"
    events = ["-e", "instructions:u", "-e", "instructions:k"]
    tried = subprocess.run(["perf", "stat", "-x", ",", *events, "true"], capture_output=True, text=True, check=False)
    if not counters_of(tried.stderr):
        yield counters
        return
    argv = ["perf", "stat", "-x", ",", "-o", str(out), *events, "-p", ",".join(map(str, pids))]
    with _attached(argv, directory / "stat.log"):
        yield counters
    counters |= counters_of(out.read_text())


@contextmanager
def stacks(pids: Sequence[int], directory: Path, *, frequency: int = 1999) -> Iterator[list[str]]:
    """Sample stacks; the list has what `perf script` prints afterwards, and stays empty when perf may not look."""
    printed: list[str] = []
    out = directory / "perf.samples"
    argv = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(frequency), "--call-graph", "fp", "-o", str(out)]
    with _attached([*argv, "-p", ",".join(map(str, pids))], directory / "record.log"):
        yield printed
    ran = subprocess.run(["perf", "script", "-i", str(out)], capture_output=True, text=True, check=False)
    if ran.returncode == 0 and ran.stdout.strip():
        printed.append(ran.stdout)


@contextmanager
def _attached(argv: Sequence[str], log: Path, traced: Sequence[int] = ()) -> Iterator[None]:
    """Run a program that looks on, from when it has attached to when INT has ended it."""
    with log.open("w") as sink:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (_is_traced(traced) if traced else _has_begun(process)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"profile: {argv[0]} did not attach: {log.read_text().strip()}")
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_traced(pids: Sequence[int]) -> bool:
    """Whether every thread has a tracer."""
    statuses = [status for pid in pids for status in Path(f"/proc/{pid}/task").glob("*/status")]
    return all(re.search(r"^TracerPid:\s+[1-9]", status.read_text(), re.MULTILINE) for status in statuses)


def _has_begun(process: subprocess.Popen[bytes]) -> bool:
    """Whether perf has opened its events and sleeps until it is told to end."""
    with suppress(OSError):
        opened = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "S" and any("perf_event" in target for target in opened)
    return False
