"""Servers of a backend, and what tells that one is down: active checks, and what traffic itself shows."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self, Unpack

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from headworks.config.models.base import Address, Host, Limit, Model, Name, applies, known, matching, strangers
from headworks.config.models.literals import CheckKind
from headworks.config.protocols import HTTP
from headworks.config.values import Duration, problem, problems, quote

if TYPE_CHECKING:
    from headworks.config.written import EjectionDict, HealthDict, ServerDict


class Server(Model):
    """One server of a backend; ``"ADDRESS"`` is short for ``{ address = "ADDRESS" }``."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ServerDict]) -> None: ...

    address: Annotated[
        Address,
        Field(
            description="IP:PORT, unix:PATH, NAME:PORT or srv:SERVICE (RFC 2782). A name is as many servers as it has "
            "addresses, kept up to date while the proxy runs. * is the name that the client asks for, original the "
            "address that it connected to before it was redirected here: see allow_destinations. Without a port it is "
            "that of the listeners that lead there.",
            examples=["127.0.0.1:8001", "unix:/run/app.sock", "app.internal:8000", "srv:_http._tcp.app.internal"],
        ),
    ]
    weight: Annotated[
        int,
        Field(
            ge=0,
            le=256,
            description="Share of the connections, relative to the other servers. 0 gets no new ones.",
            examples=[2],
        ),
    ] = 1
    backup: Annotated[
        bool,
        Field(description="Chosen only when every server that is not a backup is unusable.", examples=[True]),
    ] = False
    max_connections: Annotated[
        Limit,
        Field(
            description="Open connections at most.",
            examples=[100],
            json_schema_extra={"unit": "connections", "unset": "no limit"},
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, (Mapping, cls)):
            return value
        if isinstance(value, str):
            return {"address": value}
        raise problem(f"{quote(value)} is neither an address nor a table with address")


_STATUSES = r"[1-5][0-9]{2}(-[1-5][0-9]{2})?(, ?[1-5][0-9]{2}(-[1-5][0-9]{2})?)*"


def _ascending(value: str) -> str:
    for low, high in re.findall(r"([0-9]+)-([0-9]+)", value):
        if int(low) > int(high):
            raise problem(
                f"{low}-{high} is no range", suggestion=quote(value.replace(f"{low}-{high}", f"{high}-{low}"))
            )
    return value


class Health(Model):
    """``[backends.NAME.health]``: active checks. Without it only what traffic shows tells."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[HealthDict]) -> None: ...

    kind: Annotated[
        CheckKind,
        known("kind", ["tcp", "http"]),
        Field(
            description="tcp: a connection is opened and closed. http: a request is made and its answer looked at.",
            examples=["tcp", "http"],
        ),
    ] = "tcp"
    method: Annotated[
        Name,
        Field(description="Method of the request.", examples=["HEAD"], json_schema_extra={"only": ["http"]}),
    ] = "GET"
    path: Annotated[
        str,
        matching(r"/[!-~]*|\*", "a path that begins with /, without spaces"),
        Field(
            description="Path of the request, with a query if need be.",
            examples=["/health", "/status?short"],
            json_schema_extra={"only": ["http"]},
        ),
    ] = "/"
    host: Annotated[
        Host | None,
        Field(
            description="Host of the request.",
            examples=["app.example.com"],
            json_schema_extra={"only": ["http"], "unset": "the server's address"},
        ),
    ] = None
    expect: Annotated[
        str,
        matching(_STATUSES, 'a list of statuses such as "200-399,401"'),
        AfterValidator(_ascending),
        Field(
            description="Statuses that are good: numbers and ranges with commas between them.",
            examples=["200-399", "200,204,401"],
            json_schema_extra={"only": ["http"]},
        ),
    ] = "200-399"
    body: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Text that the body must have.",
            examples=["ready"],
            json_schema_extra={"only": ["http"], "unset": "any body is good"},
        ),
    ] = None
    interval: Annotated[
        timedelta,
        Duration("10ms", "24h"),
        Field(
            description="From the end of one check to the start of the next, varied by a tenth.",
            examples=["2s"],
        ),
    ] = timedelta(seconds=2)
    timeout: Annotated[
        timedelta, Duration("1ms", "1h"), Field(description="What one check may take.", examples=["1s"])
    ] = timedelta(seconds=1)
    rise: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Successes in a row that bring a server up.",
            examples=[2],
            json_schema_extra={"unit": "checks"},
        ),
    ] = 2
    fall: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Failures in a row that take a server down.",
            examples=[3],
            json_schema_extra={"unit": "checks"},
        ),
    ] = 3

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        """Refuse what only an http check asks where the check is another."""
        wrong = [
            problem(f"is for http checks, and this is a {self.kind} check", key=name) for name in self._strangers()
        ]
        if wrong:
            raise problems(wrong)
        return self

    @model_serializer(mode="wrap")
    def _fitting(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not for this kind: what is dumped can be validated again."""
        dumped: dict[str, Any] = handler(self)
        return {name: value for name, value in dumped.items() if applies(type(self).model_fields[name], self.kind)}

    def _strangers(self) -> list[str]:
        return [name for name, _ in strangers(self, self.kind)]


class Ejection(Model):
    """``[backends.NAME.ejection]``: a server that fails is left out for a while."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[EjectionDict]) -> None: ...

    failures: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Failed connects in a row that eject a server. 0: never.",
            examples=[3],
            json_schema_extra={"unit": "connects"},
        ),
    ] = 3
    responses: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Responses of 500 and above in a row that eject a server. 0: never.",
            examples=[5],
            json_schema_extra={"unit": "responses", "only": [*HTTP]},
        ),
    ] = 0
    duration: Annotated[
        timedelta, Duration("1ms", "24h"), Field(description="How long it stays out.", examples=["10s"])
    ] = timedelta(seconds=10)
