"""``[proxy]`` and ``[logs]``: the process itself. Must never know what it serves."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from headworks.config.models.base import Model, known
from headworks.config.values import Duration


class ProxySettings(Model):
    """``[proxy]``: the process."""

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


class LogSettings(Model):
    """``[logs]``: what is written where."""

    access: Annotated[
        str,
        Field(
            min_length=1,
            description='Access records: "-" for stderr, a path (reopened on HUP), or "off". '
            "Needs a restart to change.",
            examples=["-", "/var/log/headworks/access.log", "off"],
        ),
    ] = "-"
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
