"""In place of sniproxy: its options, its signals and its life in the background, with our engine.

HUP reloads, USR1 writes the open connections to a file, INT and TERM close everything and exit 0. Must never begin a
thread before it is in the background.
"""

import contextlib
import os
import resource
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from headworks.config.problems import ConfigError
from headworks.daemon import Background, PidFile
from headworks.errors import BindError
from headworks.importing.sniproxy.translation import Translation, translate
from headworks.log_lines import Log
from headworks.proxy import Proxy
from headworks.service import Service, run
from headworks.signals import REOPEN, hold
from headworks.sniproxy_log import SniproxyLog

DEFAULT_FILE = Path("/etc/sniproxy.conf")
FILES = 65536
"""Descriptors that the process may have, where nobody says how many."""
_MOST = 1_000_000
"""Connections that are written down at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of a start."""

    file: Path = DEFAULT_FILE
    foreground: bool = False
    files: int | None = None
    """Descriptors that the process may have."""


class LoadError(ValueError):
    """A file that cannot be loaded. The message has all that is wrong with it, a line each."""


def serve(options: Options) -> None:
    """Serve until a signal says stop. In the background it returns in neither process but by exiting.

    Raises LoadError for the file, OSError and BindError (in the foreground) for what cannot be had.
    """
    options = Options(file=options.file.absolute(), foreground=options.foreground, files=options.files)
    found = _read(options.file)
    log = _ErrorLog(found)
    hold()
    if options.foreground:
        log.take()
        log.give(found.value["proxy"].get("user"))
        _raise_limit(options.files)
        run(options.file, _Proxy, service=lambda proxy, lines: _InPlace(proxy, lines, log))
        return
    background = Background.enter()
    try:
        _in_background(options, found, log, background)
    except Exception as error:  # noqa: BLE001  (whoever waits is told, whatever it is)
        background.failed("".join(f"{line}\n" for line in reasons(error)))
        os._exit(1)
    os._exit(0)


def reasons(error: Exception) -> list[str]:
    """Return why it does not run, a line each."""
    match error:
        case ConfigError():
            return [str(problem) for problem in error.problems]
        case BindError():
            return [str(failure) for failure in error.failures]
        case _:
            return [str(error) or type(error).__name__]


def _in_background(options: Options, found: Translation, log: "_ErrorLog", background: Background) -> None:
    file = PidFile(Path(found.file.pidfile.value)) if found.file.pidfile is not None else None
    if file is not None:
        file.write()
    try:
        log.take()
        log.give(found.value["proxy"].get("user"))
        _raise_limit(options.files)
        run(options.file, _Proxy, service=lambda proxy, lines: _InPlace(proxy, lines, log, background))
    finally:
        if file is not None:
            file.remove()


def _read(file: Path) -> Translation:
    """Read the file as sniproxy does, before anything is started. Raises LoadError."""
    from headworks.config import Config

    try:
        found = translate(file.read_bytes(), str(file))
    except OSError as error:
        raise LoadError(f"{file}: {error.strerror}") from None
    wrong = [one for one in (*found.problems, *found.unsupported) if not one.is_warning]
    if not wrong:
        try:
            Config.load(file)
        except ConfigError as error:
            wrong = error.problems
    if wrong:
        raise LoadError("\n".join(map(str, wrong)))
    return found


def _raise_limit(files: int | None) -> None:
    """Set how many descriptors there may be. Not getting them stops nobody."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if files is not None else max(FILES, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            os.write(2, f"Failed to set file handle limit: {error}\n".encode())


class _ErrorLog:
    """The file of ``error_log``: our own lines go there instead of stderr."""

    def __init__(self, found: Translation) -> None:
        log = found.file.error_log
        self._path = Path(log.filename).absolute() if log is not None and log.filename is not None else None

    def take(self) -> None:
        """Open it, anew where it is open. Raises OSError."""
        if self._path is None:
            return
        opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.dup2(opened, 2)
        os.close(opened)

    def give(self, user: str | None) -> None:
        """Let a user open it again, who could not otherwise."""
        if self._path is None or user is None or os.geteuid() != 0:
            return
        import pwd

        with contextlib.suppress(OSError, KeyError):
            os.chown(self._path, pwd.getpwnam(user).pw_uid, -1)


class _Proxy(Proxy):
    """A proxy whose access log has the lines that sniproxy writes."""

    def _begin_access(self) -> SniproxyLog | None:
        logs = self.config.logs
        return None if logs.access == "off" else SniproxyLog(logs, self.addresses)


class _InPlace(Service):
    """A proxy that does by signals what sniproxy does."""

    def __init__(self, proxy: Proxy, log: Log, errors: _ErrorLog, background: Background | None = None) -> None:
        # Ours writes to what stderr was when it was made: the file may be another by now.
        super().__init__(proxy, log)
        self._errors = errors
        self._background = background

    def ready(self) -> None:
        super().ready()
        if self._background is not None:
            self._background.ready()

    def act(self, number: int) -> None:
        if number == REOPEN:
            self._dump()
        else:
            super().act(number)

    def reopen(self) -> bool:
        try:
            self._errors.take()
        except OSError as error:
            self.lines.error("error log not reopened", ("reason", error))
        return super().reopen()

    def stop(self, name: str) -> None:
        left = self.proxy.stats().connections
        self.lines.info("stopped", ("signal", signal.Signals[name].name), ("closed", left))

    def _dump(self) -> None:
        """Write the open connections to a file of their own."""
        try:
            descriptor, name = tempfile.mkstemp(prefix="sniproxy-connections-", dir="/tmp")
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123  (a number)
                file.write("Running connections:\n")
                for one in self.proxy.connections(_MOST):
                    asked = one.sni or one.host or "-"
                    where = f"{one.client}\t{asked}\t{one.server or '-'}\t{one.bytes_in}/{one.bytes_out}"
                    file.write(f"{one.state:<14}\t{where}\n")
        except OSError as error:
            self.lines.error("connections not dumped", ("reason", error))
        else:
            self.lines.info("Dumped connections to", ("file", name))
