"""Logs that go to a syslog server: access records, which the engine writes to a pipe of ours, and our own lines.

Must never hold the engine up: what cannot be sent in time is lost, and counted.
"""

from typing import Self

from headworks.config.models.process import LogSettings
from headworks.log_lines import Log
from headworks.syslog import Form, Pipe, Place, Sender


class RemoteLog:
    """Access records on their way to a syslog server."""

    form: str | None = None
    """The form in which the engine writes records for it; None: that of the configuration."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._pipe = Pipe(lambda line: sender.send("info", line))

    @classmethod
    def begin(cls, logs: LogSettings) -> Self | None:
        """Begin, where access records go to such a server."""
        sender = sender_of(logs)
        return None if sender is None else cls(sender)

    @property
    def path(self) -> str:
        """The file that the engine is to write to."""
        return self._pipe.path

    @property
    def dropped(self) -> int:
        """Records that were lost, since there were too many."""
        return self._sender.dropped

    def reopen(self) -> None:
        """Do nothing: connections are made again by themselves."""

    def close(self) -> None:
        """Send the last records and end. The engine must have ended."""
        self._pipe.close()
        self._sender.close()


class RemoteLines(Log):
    """Our own lines on their way to a syslog server, which adds the time itself."""

    def __init__(self, logs: LogSettings, place: Place) -> None:
        super().__init__(form=logs.format, level=logs.level)
        syslog = logs.syslog
        self._sender = Sender(place, _form(logs, syslog.program_facility or syslog.facility))

    def put(self, level: str, line: str) -> None:
        """Send one line."""
        text = line
        if self.form != "json":
            # Time and level are the message's own.
            text = line.split(" ", 2)[2]
        self._sender.send(level, text.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Send the last lines and end."""
        self._sender.close()


def sender_of(logs: LogSettings) -> Sender | None:
    """Return what sends access records, where they go to a syslog server."""
    place = Place.read(logs.access)
    return None if place is None else Sender(place, _form(logs, logs.syslog.facility))


def lines_of(logs: LogSettings) -> Log:
    """Return where the program's own lines go."""
    place = Place.read(logs.program) if logs.program != "-" else None
    return Log(form=logs.format, level=logs.level) if place is None else RemoteLines(logs, place)


def _form(logs: LogSettings, facility: str) -> Form:
    return Form(facility, logs.syslog.tag, is_old=logs.syslog.form == "rfc3164")
