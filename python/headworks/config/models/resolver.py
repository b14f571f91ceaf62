"""``[resolver]``: how the names of servers are resolved."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Unpack

from pydantic import BeforeValidator, Field

from headworks.config.models.base import Address, FileName, Model, known, one_or_many
from headworks.config.values import Duration

if TYPE_CHECKING:
    from headworks.config.written import ResolverDict

_FAMILIES = ["both", "ipv4", "ipv6", "ipv4_first", "ipv6_first"]


class Resolver(Model):
    """``[resolver]``: names of servers are resolved before the start and again whenever an answer ends."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ResolverDict]) -> None: ...

    nameservers: Annotated[
        tuple[Address, ...],
        BeforeValidator(one_or_many),
        Field(
            description="Addresses of nameservers, with a port where that is not 53. With some of their own, names are "
            "not searched in the system's domains.",
            examples=[["192.0.2.53", "[2001:db8::53]:5353"]],
            json_schema_extra={"unset": "those of resolv_conf"},
        ),
    ] = ()
    timeout: Annotated[
        timedelta | None,
        Duration("1ms", "1m"),
        Field(
            description="How long a nameserver may take before the next one is asked.",
            examples=["500ms"],
            json_schema_extra={"unset": "as resolv_conf says, or 2s"},
        ),
    ] = None
    attempts: Annotated[
        int | None,
        Field(
            ge=1,
            le=10,
            description="How often each nameserver is asked.",
            examples=[3],
            json_schema_extra={"unit": "times", "unset": "as resolv_conf says, or 2"},
        ),
    ] = None
    families: Annotated[
        Literal["both", "ipv4", "ipv6", "ipv4_first", "ipv6_first"],
        known("choice of families", _FAMILIES),
        Field(
            description="Which addresses of a name are servers: of both families, or of one; the order is the order of "
            "tries where a client names the server.",
            examples=["ipv4"],
        ),
    ] = "both"
    min_ttl: Annotated[
        timedelta,
        Duration("1ms", "24h"),
        Field(
            description="How long an answer holds at least, whatever its time to live is. Times vary by a tenth.",
            examples=["5s"],
        ),
    ] = timedelta(seconds=1)
    max_ttl: Annotated[
        timedelta,
        Duration("1s", "168h"),
        Field(description="How long an answer holds at most.", examples=["5m"]),
    ] = timedelta(hours=1)
    stale: Annotated[
        timedelta,
        Duration("1s", "168h", zero="never"),
        Field(
            description="How long an answer that has ended is used while no nameserver answers, for clients that name "
            "the server. Servers of backends that were found once stay for as long as it takes.",
            examples=["1h"],
        ),
    ] = timedelta(hours=24)
    hosts: Annotated[
        FileName,
        Field(description="File of hosts, which goes before nameservers.", examples=["/etc/hosts"]),
    ] = "/etc/hosts"
    resolv_conf: Annotated[
        FileName,
        Field(
            description="Configuration of the system's resolver: nameservers, search, options. It is read again when "
            "it changes.",
            examples=["/etc/resolv.conf"],
        ),
    ] = "/etc/resolv.conf"
