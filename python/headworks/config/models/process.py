"""``[proxy]`` and ``[logs]``: the process itself, and what it takes of the system. Must never know what it serves."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Unpack

from pydantic import AfterValidator, Field

from headworks.config.models.base import Model, known, matching
from headworks.config.values import Duration, Size, problem, quote
from headworks.syslog import FACILITIES, Place

if TYPE_CHECKING:
    from headworks.config.written import LogSettingsDict, ProxySettingsDict, ResourcesDict, SyslogSettingsDict


class Resources(Model):
    """``[proxy.resources]``: descriptors, and the kernel's memory for bytes that need no look."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ResourcesDict]) -> None: ...

    reserved_descriptors: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Descriptors kept for everything that is not a connection: listeners, health checks, logs, "
            "pipes. Of those that the process may open besides (RLIMIT_NOFILE), each connection takes two; when they "
            "are used up, clients wait to be accepted.",
            examples=[512],
            json_schema_extra={"unit": "descriptors"},
        ),
    ] = 96
    accept_pause: Annotated[
        timedelta,
        Duration("1ms", "1m"),
        Field(
            description="How long accepting stays paused, when there is no descriptor for one more connection, before "
            "it is tried again.",
            examples=["200ms"],
        ),
    ] = timedelta(milliseconds=50)
    max_pipes: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Pipes in use at once for each worker. Where much is moved without TLS, each direction takes "
            "one (two descriptors) and is not copied (splice); what finds none is copied. 0: everything is copied.",
            examples=[1024],
            json_schema_extra={"unit": "pipes"},
        ),
    ] = 256
    pipe_size: Annotated[
        int,
        Size("4KiB", "64MiB"),
        Field(
            description="Bytes that a pipe is asked to hold: as many wait in the proxy for a slow reader. Linux makes "
            "a power of two of it, and leaves a pipe at 64KiB or less where that is more than "
            "/proc/sys/fs/pipe-max-size or the user's share permits.",
            examples=["256KiB"],
        ),
    ] = 1 << 20
    max_hops: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="How often a connection may come back to a listener of this process from one of its own "
            "sockets: a server that is such a listener is connected to so many times in a row, then the loop is ended. "
            "0: never.",
            examples=[3],
            json_schema_extra={"unit": "times"},
        ),
    ] = 8


class ProxySettings(Model):
    """``[proxy]``: the process."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ProxySettingsDict]) -> None: ...

    workers: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="Threads that serve connections. Needs a restart to change.",
            examples=[2],
            json_schema_extra={"unit": "threads", "unset": "one per core"},
        ),
    ] = None
    drain: Annotated[
        timedelta,
        Duration("1ms", "24h", zero="close at once"),
        Field(description="How long open connections may go on after TERM or INT.", examples=["30s"]),
    ] = timedelta(seconds=30)
    watch_certificates: Annotated[
        bool,
        Field(
            description="Whether files with certificates, keys, authorities and revocation lists are watched while the "
            "proxy runs, and read again when they change.",
            examples=[False],
        ),
    ] = True
    user: Annotated[
        str | None,
        Field(
            min_length=1,
            description="User the process becomes after binding. Needs root, and a restart to change.",
            examples=["nobody"],
            json_schema_extra={"unset": "stay who we are"},
        ),
    ] = None
    group: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Group the process gets after binding. Needs root, and a restart to change.",
            examples=["nogroup"],
            json_schema_extra={"unset": "the user's own groups"},
        ),
    ] = None
    switch_interval: Annotated[
        timedelta,
        Duration("50us", "1s", zero="leave it as it is", step="10us"),
        Field(
            description="Time after which a Python thread lets another run (sys.setswitchinterval), while the proxy "
            "has analyzers: code that computes for long keeps answers waiting for no longer.",
            examples=["5ms"],
        ),
    ] = timedelta(microseconds=500)
    resources: Annotated[
        Resources,
        Field(description="What it takes of the system.", examples=[{"max_pipes": 1024}]),
    ] = Resources.model_construct()


def _place(value: str) -> str:
    """Refuse a syslog server that is written otherwise."""
    if (value == "syslog" or value.startswith("syslog:")) and Place.read(value) is None:
        raise problem(
            f"{quote(value)} is no syslog server: syslog, syslog:/PATH, syslog:udp:HOST:PORT, syslog:tcp:HOST:PORT"
        )
    return value


def _own(value: str) -> str:
    if value != "-" and Place.read(value) is None:
        raise problem(f'{quote(value)} is neither "-" nor a syslog server such as syslog or syslog:udp:192.0.2.1:514')
    return value


class SyslogSettings(Model):
    """``[logs.syslog]``: how lines are sent to a syslog server, where logs.access or logs.program names one."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[SyslogSettingsDict]) -> None: ...

    facility: Annotated[
        str,
        known("facility", list(FACILITIES)),
        Field(description="Facility of lines. Needs a restart to change.", examples=["local0"]),
    ] = "daemon"
    program_facility: Annotated[
        str | None,
        known("facility", list(FACILITIES)),
        Field(
            description="Facility of the program's own lines, where it is another. Needs a restart to change.",
            examples=["local1"],
            json_schema_extra={"unset": "that of facility"},
        ),
    ] = None
    tag: Annotated[
        str,
        matching(r"[!-~]{1,32}", "a name of 1 to 32 characters without spaces"),
        Field(description="Name that the program has there. Needs a restart to change.", examples=["edge"]),
    ] = "headworks"
    form: Annotated[
        Literal["rfc5424", "rfc3164"],
        known("form", ["rfc5424", "rfc3164"]),
        Field(
            description="Form of messages: RFC 5424, or RFC 3164 for servers that know only that. Needs a restart to "
            "change.",
            examples=["rfc3164"],
        ),
    ] = "rfc5424"


class LogSettings(Model):
    """``[logs]``: what is written where."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[LogSettingsDict]) -> None: ...

    access: Annotated[
        str,
        Field(
            min_length=1,
            description='Access records: "-" for stderr, a path (reopened on HUP), "off", or a syslog server: '
            '"syslog" (/dev/log), "syslog:PATH", "syslog:udp:HOST:PORT", "syslog:tcp:HOST:PORT" (RFC 6587, counted). '
            "Needs a restart to change.",
            examples=["-", "/var/log/headworks/access.log", "off", "syslog", "syslog:udp:192.0.2.1:514"],
        ),
        AfterValidator(_place),
    ] = "-"
    program: Annotated[
        str,
        Field(
            min_length=1,
            description='The program\'s own lines: "-" for stderr, or a syslog server as access may name one. '
            "Needs a restart to change.",
            examples=["-", "syslog"],
        ),
        AfterValidator(_own),
    ] = "-"
    syslog: Annotated[
        SyslogSettings,
        Field(description="How lines are sent to a syslog server.", examples=[{"facility": "local0", "tag": "edge"}]),
    ] = SyslogSettings.model_construct()
    format: Annotated[
        Literal["text", "json"],
        known("format", ["text", "json"]),
        Field(
            description="Form of access records and of the program's own lines. Needs a restart to change.",
            examples=["text", "json"],
        ),
    ] = "text"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        known("level", ["debug", "info", "warning", "error"]),
        Field(description="Lines of the program's own below this level are left out.", examples=["warning"]),
    ] = "info"
