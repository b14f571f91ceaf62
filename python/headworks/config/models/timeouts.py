"""``[listeners.NAME.timeouts]``: every wait has a deadline."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Unpack

from pydantic import Field

from headworks.config.models.base import Model
from headworks.config.protocols import BYTES, HTTP
from headworks.config.values import Duration

if TYPE_CHECKING:
    from headworks.config.written import TimeoutsDict


class Timeouts(Model):
    """``[listeners.NAME.timeouts]``."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[TimeoutsDict]) -> None: ...

    first_bytes: Annotated[
        timedelta,
        Duration("1ms", "1h"),
        Field(
            description="The PROXY header and the ClientHello or request head must be complete this long after accept, "
            "a later request head this long after its first byte.",
            examples=["10s"],
        ),
    ] = timedelta(seconds=10)
    idle: Annotated[
        timedelta,
        Duration("1ms", "168h"),
        Field(
            description="A connection is closed when no byte moved in either direction; of http, while a request is "
            "answered.",
            examples=["10m"],
        ),
    ] = timedelta(minutes=10)
    half_close: Annotated[
        timedelta,
        Duration("1ms", "168h"),
        Field(
            description="A connection is closed when one side has ended (or was reset) and no byte moved in the other"
            " direction. Of https: where names are passed through.",
            examples=["1m"],
            json_schema_extra={"only": [*BYTES]},
        ),
    ] = timedelta(minutes=1)
    keep_alive: Annotated[
        timedelta,
        Duration("1ms", "168h"),
        Field(
            description="A connection is closed when it waits this long for the first byte of its next request.",
            examples=["60s"],
            json_schema_extra={"only": [*HTTP]},
        ),
    ] = timedelta(seconds=60)
    body: Annotated[
        timedelta,
        Duration("1ms", "24h"),
        Field(
            description="A request is given up when its body is not complete and no byte of it came.",
            examples=["30s"],
            json_schema_extra={"only": [*HTTP]},
        ),
    ] = timedelta(seconds=30)
    tunnel: Annotated[
        timedelta,
        Duration("1ms", "168h"),
        Field(
            description="After an upgrade (WebSocket) or CONNECT: closed when no byte moved in either direction.",
            examples=["1h"],
            json_schema_extra={"only": [*HTTP]},
        ),
    ] = timedelta(hours=1)
    linger: Annotated[
        timedelta,
        Duration("1ms", "1h"),
        Field(
            description="A client that was told why it is refused, or got its last answer, may read that and close for "
            "this long. What it still sends is thrown away: to close on it would destroy what it was told.",
            examples=["5s"],
        ),
    ] = timedelta(seconds=2)
