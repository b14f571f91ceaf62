"""``[listeners.NAME.first_bytes]``: kinds of clients at one address, told apart by what they say first."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self, Unpack

from pydantic import BeforeValidator, Field, model_validator

from headworks.config.models.base import Model, Name, table
from headworks.config.values import Duration, problem, problems, quote

if TYPE_CHECKING:
    from headworks.config.written import FirstBytesDict, KindDict


class Kind(Model):
    """Way of one kind; `"NAME"` is short for `{ backend = "NAME" }`. Either a backend or a table."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[KindDict]) -> None: ...

    backend: Annotated[
        Name | None,
        Field(description="Name of the one backend.", examples=["app"], json_schema_extra={"unset": "table"}),
    ] = None
    table: Annotated[
        Name | None,
        Field(
            description="Table consulted with the name in the ClientHello (tls), or with the host of the first request "
            "(http), which is passed on untouched.",
            examples=["names"],
            json_schema_extra={"unset": "backend"},
        ),
    ] = None
    fallback: Annotated[
        Name | None,
        Field(
            description="Backend when no name is found or nothing matches. Beside table.",
            examples=["legacy"],
            json_schema_extra={"unset": "the client is refused"},
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, (Mapping, cls)):
            return value
        if isinstance(value, str) and value:
            return {"backend": value}
        raise problem(f"{quote(value)} is neither the name of a backend nor a table with table and fallback")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.backend is None and self.table is None:
            raise problem("table or backend is missing")
        if self.backend is not None and (self.table is not None or self.fallback is not None):
            raise problem("give either backend, or table and fallback", key="backend")
        return self


class FirstBytes(Model):
    """``[listeners.NAME.first_bytes]``: where each kind of clients goes. Others go to the listener's fallback."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[FirstBytesDict]) -> None: ...

    tls: Annotated[
        Kind | None,
        Field(
            description="Clients that begin TLS: to a backend, or by the name in the ClientHello.",
            examples=[{"table": "names"}],
            json_schema_extra={"unset": "they are none of the kinds"},
        ),
    ] = None
    http: Annotated[
        Kind | None,
        Field(
            description="Clients that begin with a request of HTTP/1 or HTTP/2: to a backend, or by its host.",
            examples=["web"],
            json_schema_extra={"unset": "they are none of the kinds"},
        ),
    ] = None
    ssh: Annotated[
        Kind | None,
        Field(
            description="Clients of SSH, which identify themselves at once.",
            examples=["ssh"],
            json_schema_extra={"unset": "they are none of the kinds"},
        ),
    ] = None
    postgres: Annotated[
        Kind | None,
        Field(
            description="Clients of PostgreSQL: a startup message, or one that asks for encryption or to cancel.",
            examples=["database"],
            json_schema_extra={"unset": "they are none of the kinds"},
        ),
    ] = None
    prefixes: Annotated[
        dict[Name, Name],
        BeforeValidator(table),
        Field(
            description="Backends of clients that begin with these bytes: text, or hex: and hexadecimal digits. None "
            "may begin with another, nor as a kind above does that is given.",
            examples=[{"RFB ": "vnc", "hex:000e38": "openvpn"}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    silent: Annotated[
        Name | None,
        Field(
            description="Backend of clients that say nothing, because its servers speak first: SMTP, FTP, MySQL.",
            examples=["mail"],
            json_schema_extra={"unset": "such clients are closed after timeouts.first_bytes"},
        ),
    ] = None
    silent_after: Annotated[
        timedelta,
        Duration("1ms", "1m"),
        Field(
            description="How long a client that has not said a byte is waited for, before it goes to silent.",
            examples=["300ms"],
        ),
    ] = timedelta(milliseconds=500)

    @model_validator(mode="after")
    def _names(self) -> Self:
        wrong = [
            problem("its clients give no name that could be looked up; give backend", key=(key, "table"))
            for key in ("ssh", "postgres")
            if (kind := getattr(self, key)) is not None and kind.table is not None
        ]
        if wrong:
            raise problems(wrong)
        return self


def kinds(first_bytes: FirstBytes) -> Iterator[Kind]:
    """Yield the kinds that are given."""
    for key in ("tls", "http", "ssh", "postgres"):
        kind: Kind | None = getattr(first_bytes, key)
        if kind is not None:
            yield kind


def kind_backends(first_bytes: FirstBytes | None) -> set[str]:
    """Return the backends that are named there, not those of tables."""
    if first_bytes is None:
        return set()
    own = {name for kind in kinds(first_bytes) for name in (kind.backend, kind.fallback)}
    own |= {*first_bytes.prefixes.values(), first_bytes.silent}
    return {name for name in own if name is not None}


def kind_tables(first_bytes: FirstBytes | None) -> set[str]:
    """Return the tables that are named there."""
    return set() if first_bytes is None else {kind.table for kind in kinds(first_bytes) if kind.table is not None}
