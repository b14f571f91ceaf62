"""Options of TCP sockets: of those that listen, which clients' sockets inherit, and of those that connect.

Keys of both are those of the kernel; what is not set stays as the kernel has it.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Unpack

from pydantic import Field

from headworks.config.models.base import Model, matching
from headworks.config.values import Duration, Size

if TYPE_CHECKING:
    from headworks.config.written import AcceptDict, ConnectDict

_KERNEL = "the kernel's default"


class SocketOptions(Model):
    """Options that listeners and backends may ask of their sockets alike."""

    interface: Annotated[
        str | None,
        matching(r"[!-.0-~]{1,15}", "the name of an interface: at most 15 characters, no space and no slash"),
        Field(
            description="Network interface that packets come by and go by (SO_BINDTODEVICE).",
            examples=["eth0"],
            json_schema_extra={"unset": "any"},
        ),
    ] = None
    mark: Annotated[
        int | None,
        Field(
            ge=0,
            le=0xFFFF_FFFF,
            description="Mark of its packets for rules of routing and filters (SO_MARK). Needs CAP_NET_ADMIN.",
            examples=[1],
            json_schema_extra={"unset": "none"},
        ),
    ] = None
    user_timeout: Annotated[
        timedelta | None,
        Duration("1ms", "24h"),
        Field(
            description="How long sent bytes may stay unacknowledged before the connection is given up "
            "(TCP_USER_TIMEOUT).",
            examples=["30s"],
            json_schema_extra={"unset": _KERNEL},
        ),
    ] = None
    congestion: Annotated[
        str | None,
        matching(r"[0-9A-Za-z_-]{1,15}", "the name of a congestion control such as bbr or cubic"),
        Field(
            description="Congestion control (TCP_CONGESTION): one that the kernel has.",
            examples=["bbr"],
            json_schema_extra={"unset": _KERNEL},
        ),
    ] = None
    receive_buffer: Annotated[
        int | None,
        Size("1KiB", "1GiB"),
        Field(
            description="Receive buffer (SO_RCVBUF), which the kernel doubles and no longer sizes by itself.",
            examples=["1MiB"],
            json_schema_extra={"unset": "sized by the kernel"},
        ),
    ] = None
    send_buffer: Annotated[
        int | None,
        Size("1KiB", "1GiB"),
        Field(
            description="Send buffer (SO_SNDBUF), which the kernel doubles and no longer sizes by itself.",
            examples=["1MiB"],
            json_schema_extra={"unset": "sized by the kernel"},
        ),
    ] = None
    max_segment: Annotated[
        int | None,
        Field(
            ge=88,
            le=32767,
            description="Largest segment that is sent and announced (TCP_MAXSEG).",
            examples=[1400],
            json_schema_extra={"unit": "bytes", "unset": "what the path takes"},
        ),
    ] = None
    keepalive_idle: Annotated[
        timedelta | None,
        Duration("1s", "9h", step="1s"),
        Field(
            description="Silence after which keep-alive probes begin (TCP_KEEPIDLE).",
            examples=["1m"],
            json_schema_extra={"unset": _KERNEL},
        ),
    ] = None
    keepalive_interval: Annotated[
        timedelta | None,
        Duration("1s", "9h", step="1s"),
        Field(
            description="Time between two probes (TCP_KEEPINTVL).",
            examples=["10s"],
            json_schema_extra={"unset": _KERNEL},
        ),
    ] = None
    keepalive_probes: Annotated[
        int | None,
        Field(
            ge=1,
            le=127,
            description="Probes without an answer after which a connection is lost (TCP_KEEPCNT).",
            examples=[6],
            json_schema_extra={"unit": "probes", "unset": _KERNEL},
        ),
    ] = None


class Accept(SocketOptions):
    """``[listeners.NAME.accept]``: options of listening TCP sockets, which those of clients inherit."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[AcceptDict]) -> None: ...

    transparent: Annotated[
        bool,
        Field(
            description="Clients of other addresses than ours are accepted (IP_TRANSPARENT), when the firewall hands "
            "them over (TPROXY). Needs CAP_NET_ADMIN.",
            examples=[True],
        ),
    ] = False
    original_destination: Annotated[
        bool,
        Field(
            description="The address that a client connected to before the firewall redirected it here (REDIRECT, "
            'DNAT) is learned (SO_ORIGINAL_DST), for servers = "original" and access records.',
            examples=[True],
        ),
    ] = False
    fast_open_queue: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Connections with early bytes that may wait (TCP_FASTOPEN). 0: no TCP Fast Open.",
            examples=[256],
            json_schema_extra={"unit": "connections"},
        ),
    ] = 0
    defer_accept: Annotated[
        timedelta | None,
        Duration("1s", "1h", step="1s"),
        Field(
            description="How long the kernel keeps a client without a byte to itself (TCP_DEFER_ACCEPT).",
            examples=["5s"],
            json_schema_extra={"unset": "accepted at once"},
        ),
    ] = None


class Connect(SocketOptions):
    """``[backends.NAME.connect]``: options of TCP sockets to the servers."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ConnectDict]) -> None: ...

    fast_open: Annotated[
        bool,
        Field(
            description="First bytes go with the SYN to servers that have allowed it before (TCP_FASTOPEN_CONNECT).",
            examples=[True],
        ),
    ] = False
