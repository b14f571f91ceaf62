"""The load generator and the origin: builds bench/load and runs its two roles. Owns their command lines and reports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import processes

HERE = Path(__file__).resolve().parent / "load"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one run of the generator says. Times in seconds, latencies in microseconds."""

    operations: int
    operations_all: int
    seconds: float
    rate: float
    bytes: int
    errors: dict[str, int]
    latency_us: dict[str, float]
    cpu_seconds: float
    handshakes: dict[str, int] = field(default_factory=dict)
    """Of TLS, by kind, since the first operation began."""

    @classmethod
    def parse(cls, text: str) -> Report:
        """Read the generator's JSON; text that is none is an error of the run."""
        try:
            raw: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raw = {"errors": {"generator: no report": 1}}
        return cls(
            operations=raw.get("operations", 0),
            operations_all=raw.get("operations_all", 0),
            seconds=raw.get("seconds", 0.0),
            rate=raw.get("rate", 0.0),
            bytes=raw.get("bytes", 0),
            errors=raw["errors"],
            latency_us=raw.get("latency_us", {}),
            cpu_seconds=raw.get("cpu_seconds", 0.0),
            handshakes=raw.get("handshakes", {}),
        )

    @classmethod
    def failed(cls, why: str) -> Report:
        """Return the report of a run that came to nothing."""
        return cls.parse(json.dumps({"errors": {why: 1}}))


def build() -> Path:
    """Build the generator (nothing happens when it is fresh) and return its path."""
    cargo = shutil.which("cargo")
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    binary = target / "release" / "load"
    if cargo is None and not binary.exists():
        raise SystemExit("bench: cargo is needed to build bench/load (https://rustup.rs)")
    if cargo is not None:
        command = [cargo, "build", "--quiet", "--release", "--locked", "--manifest-path", str(HERE / "Cargo.toml")]
        subprocess.run(command, check=True)
    return binary


@dataclass(frozen=True, kw_only=True)
class Generator:
    """The built program and the core it runs on."""

    binary: Path
    core: int

    @contextmanager
    def origin(self, mode: str, *, everywhere: bool = False) -> Iterator[tuple[int, int]]:
        """Run an origin and yield its port and pid; `everywhere`: at each address of loopback."""
        listen = ["--listen", "0.0.0.0:0"] if everywhere else []
        process = processes.start([str(self.binary), "origin", "--mode", mode, *listen], core=self.core)
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            processes.stop(process)

    def run(
        self, port: int, options: Sequence[str], *, patience: float, begins: Callable[[], None] | None = None
    ) -> Report:
        """Run a scenario against `port` of 127.0.0.1 to its end, at most `patience` seconds.

        With `begins` the generator first makes its connections; that is called, and then the first operation begins.
        """
        announced = ["--announce", "1"] if begins else []
        process = processes.start(self._argv(port, [*options, *announced]), core=self.core)
        try:
            if begins is not None:
                assert process.stdout is not None
                said = process.stdout.readline()
                if said != "ready\n":
                    return Report.parse(said)
                begins()
            out, _ = process.communicate("\n", timeout=patience)
            return Report.parse(out)
        except subprocess.TimeoutExpired:
            return Report.failed("generator: did not end")
        finally:
            processes.stop(process)

    @contextmanager
    def running(self, port: int, options: Sequence[str]) -> Iterator[list[Report]]:
        """Run a scenario beside the block; the yielded list has the report once the block has ended."""
        reports: list[Report] = []
        process = processes.start(self._argv(port, options), core=self.core)
        try:
            yield reports
            try:
                out, _ = process.communicate(timeout=60)
                reports.append(Report.parse(out))
            except subprocess.TimeoutExpired:
                reports.append(Report.failed("generator: did not end"))
        finally:
            processes.stop(process)

    @contextmanager
    def holding(self, port: int, options: Sequence[str]) -> Iterator[list[Report]]:
        """Open idle connections and hold them inside; the yielded list has the report afterwards."""
        reports: list[Report] = []
        process = processes.start(self._argv(port, options), core=self.core)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if not said.startswith("held"):
                reports.append(Report.parse(said))
            yield reports
            if not reports:
                out, _ = process.communicate(timeout=30)
                reports.append(Report.parse(out))
        finally:
            processes.stop(process)

    def _argv(self, port: int, options: Sequence[str]) -> list[str]:
        return [str(self.binary), "run", "--target", f"127.0.0.1:{port}", *options]
