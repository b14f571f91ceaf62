"""`headworks run` as a process of its own: its lines, addresses, memory, descriptors and processor time."""

import contextlib
import os
import re
import signal
import subprocess
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headworks import Config
from rig.clients import Target
from rig.waiting import PATIENCE, until

HEADWORKS = Path(sysconfig.get_path("scripts")) / "headworks"


def command(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    return subprocess.run(
        [HEADWORKS, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
    )


def write(file: Path, config: Mapping[str, Any]) -> Path:
    """Write a configuration as TOML."""
    file.write_text(Config.parse(config).to_toml())
    return file


class Running:
    """A process, and everything it has said on stderr."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = threading.Event()
        self._reading.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def line(self, *words: str, after: int = 0) -> str:
        """Wait for a line, at or after index ``after``, that has all the words."""

        def look() -> str | None:
            if found := next((line for line in self.lines[after:] if all(word in line for word in words)), None):
                return found
            if not self._reader.is_alive():
                raise AssertionError(f"it ended without {words}: {''.join(self.lines)}")
            return None

        return str(until(look, f"a line with {words}"))

    def count(self, word: str) -> int:
        """How many lines have the word."""
        return sum(word in line for line in list(self.lines))

    def addresses(self, listener: str, line: str | None = None) -> list[str]:
        """The addresses that the ready line, or another, gives for a listener."""
        pairs = re.findall(r"(listener|address)=(\S+)", line or self.line(" ready "))
        found, current = [], ""
        for key, value in pairs:
            if key == "listener":
                current = value
            elif current == listener:
                found.append(value)
        return found

    def address(self, listener: str, line: str | None = None) -> Target:
        """The first address of a listener, to connect to."""
        return as_target(self.addresses(listener, line)[0])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def reload(self) -> str:
        """Send HUP and wait for what is said of it."""
        before = len(self.lines)
        self.signal(signal.SIGHUP)
        return self.line("reloaded", after=before)

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return self.process.wait(PATIENCE)

    def pause_reading(self) -> None:
        """Read its stderr no more, from the next line on."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Read its stderr again."""
        self._reading.set()

    def descriptors(self) -> int:
        """Open descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def resident(self) -> int:
        """Bytes of memory in use (VmRSS)."""
        return int(self.status("VmRSS").split()[0]) * 1024

    def status(self, key: str) -> str:
        """One value of /proc/PID/status."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(f"{key}:"))

    def processor_time(self) -> float:
        """Seconds of processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Leave nothing behind."""
        self._reading.set()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        if self.process.stderr:
            self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            self._reading.wait()


def as_target(address: str) -> Target:
    """``127.0.0.1:80``, ``[::1]:80`` or ``unix:/x`` as something to connect to; any address is reached by loopback."""
    if address.startswith("unix:"):
        return address.removeprefix("unix:"), 0
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)


@contextlib.contextmanager
def running(
    file: Path,
    *,
    prefix: Sequence[str] = (),
    descriptors: Sequence[int] = (),
    cwd: Path | None = None,
    ready: str = " ready ",
    **environment: str,
) -> Iterator[Running]:
    """``headworks run FILE``, once it has said ``ready``. ``prefix`` is a command that executes its arguments."""
    process = subprocess.Popen(
        [*prefix, str(HEADWORKS), "run", str(file)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=descriptors,
        cwd=cwd,
        env=os.environ | environment,
    )
    started = Running(process)
    try:
        if ready:
            started.line(ready)
        yield started
        assert not started.count("panicked"), started.lines
    finally:
        started.end()
