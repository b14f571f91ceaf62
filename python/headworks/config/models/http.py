"""Keys of http listeners alone: limits of requests, forwarding, rate limits, compression.

What all listeners have is in listener.py, deadlines are in timeouts.py.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Unpack

from pydantic import BeforeValidator, Field

from headworks.config.models.base import FieldName, Limit, Model, Networks, distinct, known, matching, one_or_many
from headworks.config.values import Duration, Size

if TYPE_CHECKING:
    from headworks.config.written import CompressionDict, HttpSettingsDict, RateLimitDict

FORWARDED = ("x_forwarded", "forwarded")
ALGORITHMS: tuple[Literal["zstd", "br", "gzip"], ...] = ("zstd", "br", "gzip")
MEDIA_TYPES = (
    "text/*",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/wasm",
    "application/xml",
    "application/atom+xml",
    "application/rss+xml",
    "application/xhtml+xml",
    "image/svg+xml",
)
_MEDIA_TYPE = r"[0-9A-Za-z!#$&^_.+-]+/(\*|[0-9A-Za-z!#$&^_.+-]+)"


class HttpSettings(Model):
    """``[listeners.NAME.http]``: what requests may be, and what servers are told of clients."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[HttpSettingsDict]) -> None: ...

    head_limit: Annotated[
        int,
        Size("1KiB", "60KiB"),
        Field(
            description="Bytes of a request head or response head at most. A longer request gets 431, a longer "
            "response becomes 502.",
            examples=["32KiB"],
        ),
    ] = 16 << 10
    rewrite_reserve: Annotated[
        int,
        Size("0B", "60KiB"),
        Field(
            description="Bytes by which rewriting may make a head longer than head_limit: forwarding fields, an id, a "
            "cookie, fields of your own. A request that needs more gets 500, a response becomes 502.",
            examples=["8KiB"],
        ),
    ] = 4 << 10
    fields_limit: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Fields of a head at most. More of them give 431 or 502.",
            examples=[200],
            json_schema_extra={"unit": "fields"},
        ),
    ] = 100
    line_limit: Annotated[
        int,
        Size("256B", "60KiB"),
        Field(
            description="Bytes of one line of a head at most. A longer request line gets 414, a longer field 431.",
            examples=["4KiB"],
        ),
    ] = 8 << 10
    body_limit: Annotated[
        int | None,
        Size("0B", "1048576GiB"),
        Field(
            description="Bytes of a request body at most. A longer one gets 413.",
            examples=["10MiB"],
            json_schema_extra={"unset": "no limit"},
        ),
    ] = None
    min_body_rate: Annotated[
        int,
        Size("0B", "1GiB"),
        Field(
            description="Bytes a second that a request body must bring on average. 0: any rate.",
            examples=["1KiB"],
            json_schema_extra={"unit": "a second"},
        ),
    ] = 0
    connect: Annotated[
        bool,
        Field(description="Whether CONNECT is passed on to servers. Otherwise it gets 405.", examples=[True]),
    ] = False
    forwarded: Annotated[
        tuple[Annotated[Literal["x_forwarded", "forwarded"], known("kind of forwarding fields", FORWARDED)], ...],
        BeforeValidator(one_or_many),
        distinct,
        Field(
            description="Fields that tell servers who the client is: x_forwarded (X-Forwarded-For, -Proto and -Host), "
            "forwarded (RFC 7239). Empty: none.",
            examples=[["x_forwarded"], ["forwarded"], []],
        ),
    ] = ("x_forwarded",)
    trusted: Annotated[
        Networks,
        Field(
            description="Client addresses or networks whose forwarding fields are believed and added to. Those of "
            "others are replaced.",
            examples=[["10.0.0.0/8", "::1"]],
        ),
    ] = ()
    via: Annotated[
        str | None,
        matching(r"[!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]+", "a pseudonym: one word such as edge1 (RFC 9110, section 7.6.3)"),
        Field(
            description="Pseudonym that is added to the Via fields of requests and responses.",
            examples=["edge1"],
            json_schema_extra={"unset": "no Via is added"},
        ),
    ] = None
    request_id: Annotated[
        FieldName | None,
        Field(
            description="Field that carries the request id to the server. A trusted client's own id is kept.",
            examples=["X-Request-Id"],
            json_schema_extra={"unset": "none is sent"},
        ),
    ] = None
    requests_per_connection: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000_000,
            description="Requests on one client connection at most; it is closed after the last. 0: any number.",
            examples=[1000],
            json_schema_extra={"unit": "requests"},
        ),
    ] = 0
    abort_on_close: Annotated[
        bool,
        Field(
            description="Whether a client that ends its sending after its request, and before its answer is complete, "
            "is taken for gone: the request is cancelled at the server. Otherwise it is answered (RFC 9112, section "
            "9.6), and only a reset cancels.",
            examples=[True],
        ),
    ] = False
    max_requests_per_client: Annotated[
        Limit,
        Field(
            description="Requests under way at most for one client address. More of them get 429.",
            examples=[50],
            json_schema_extra={"unit": "requests", "unset": "no limit"},
        ),
    ] = None


class RateLimit(Model):
    """``[listeners.NAME.rate_limit]``: requests that one client may make in a while; more get 429 and Retry-After."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[RateLimitDict]) -> None: ...

    requests: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000_000,
            description="Requests in each `per`.",
            examples=[100],
            json_schema_extra={"unit": "requests"},
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
            description="Requests that may come at once after a silence.",
            examples=[200],
            json_schema_extra={"unit": "requests", "unset": "as many as `requests`"},
        ),
    ] = None
    header: Annotated[
        FieldName | None,
        Field(
            description="Field of the request whose value is counted by, instead of the client's address.",
            examples=["Authorization"],
            json_schema_extra={"unset": "the client's address"},
        ),
    ] = None
    keys: Annotated[
        int,
        Field(
            ge=1,
            le=10_000_000,
            description="Clients remembered at most; those longest silent are forgotten first.",
            examples=[100_000],
            json_schema_extra={"unit": "clients"},
        ),
    ] = 100_000


class Compression(Model):
    """``[listeners.NAME.compression]``: responses that the client takes compressed are, if the server did not do it."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[CompressionDict]) -> None: ...

    algorithms: Annotated[
        tuple[Annotated[Literal["zstd", "br", "gzip"], known("algorithm", ALGORITHMS)], ...],
        BeforeValidator(one_or_many),
        distinct,
        Field(
            min_length=1,
            description="Algorithms, best first: the first that the client accepts is used.",
            examples=[["zstd", "br", "gzip"], "gzip"],
        ),
    ] = ALGORITHMS
    types: Annotated[
        tuple[Annotated[str, matching(_MEDIA_TYPE, "a media type such as text/html or text/*")], ...],
        BeforeValidator(one_or_many),
        distinct,
        Field(min_length=1, description="Media types that are worth it.", examples=[["text/*", "application/json"]]),
    ] = MEDIA_TYPES
    min_size: Annotated[
        int,
        Size("0B", "1GiB"),
        Field(description="Responses that are known to be shorter stay as they are.", examples=["4KiB"]),
    ] = 1 << 10
