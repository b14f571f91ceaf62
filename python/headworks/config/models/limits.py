"""Limits on the connections of a listener."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from pydantic import Field, model_validator

from headworks.config.models.base import Model, Networks
from headworks.config.values import Duration, Rate

if TYPE_CHECKING:
    from headworks.config.written import BandwidthDict, ConnectionRateDict, RatesDict


class ConnectionRate(Model):
    """``[listeners.NAME.connection_rate]``: connections that one client network may open in a while.

    More of them are closed at once, without a byte.
    """

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ConnectionRateDict]) -> None: ...

    connections: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000_000,
            description="Connections in each `per`.",
            examples=[100],
            json_schema_extra={"unit": "connections"},
        ),
    ]
    per: Annotated[
        timedelta, Duration("1ms", "24h"), Field(description="The while in which they count.", examples=["1m"])
    ] = timedelta(seconds=1)
    burst: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000_000,
            description="Connections that may come at once after a silence.",
            examples=[200],
            json_schema_extra={"unit": "connections", "unset": "as many as `connections`"},
        ),
    ] = None
    ipv4_prefix: Annotated[
        int,
        Field(
            ge=0,
            le=32,
            description="Bits of an IPv4 address that are one client.",
            examples=[24],
            json_schema_extra={"unit": "bits"},
        ),
    ] = 32
    ipv6_prefix: Annotated[
        int,
        Field(
            ge=0,
            le=128,
            description="Bits of an IPv6 address that are one client: whoever has one address of a /64 has all of it.",
            examples=[56],
            json_schema_extra={"unit": "bits"},
        ),
    ] = 64
    exempt: Annotated[
        Networks,
        Field(
            description="Client networks that are not counted.",
            examples=[["10.0.0.0/8"]],
        ),
    ] = ()
    keys: Annotated[
        int,
        Field(
            ge=1,
            le=10_000_000,
            description="Client networks remembered at most; those longest silent are forgotten first.",
            examples=[100_000],
            json_schema_extra={"unit": "networks"},
        ),
    ] = 100_000


class Rates(Model):
    """Bytes a second in both directions; ``"1MiB/s"`` is short for that much in each of them."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[RatesDict]) -> None: ...

    upload: Annotated[
        int | None,
        Rate("1KiB", "1024GiB"),
        Field(
            description="Bytes from clients.",
            examples=["1MiB/s"],
            json_schema_extra={"unit": "a second", "unset": "no limit"},
        ),
    ] = None
    download: Annotated[
        int | None,
        Rate("1KiB", "1024GiB"),
        Field(
            description="Bytes to clients.",
            examples=["10MiB/s"],
            json_schema_extra={"unit": "a second", "unset": "no limit"},
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return value if isinstance(value, (Mapping, cls)) else {"upload": value, "download": value}


class Bandwidth(Model):
    """``[listeners.NAME.bandwidth]``: bytes that connections may move in a second, as soon as they have a server."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[BandwidthDict]) -> None: ...

    per_connection: Annotated[
        Rates | None,
        Field(
            description="What each connection may move.",
            examples=["1MiB/s", {"download": "1MiB/s"}],
            json_schema_extra={"unset": "no limit"},
        ),
    ] = None
    listener: Annotated[
        Rates | None,
        Field(
            description="What all connections of the listener may move together, in equal shares.",
            examples=["100MiB/s", {"upload": "10MiB/s", "download": "100MiB/s"}],
            json_schema_extra={"unset": "no limit"},
        ),
    ] = None
