"""``[tables.NAME]``: what a pattern leads to. The patterns themselves are the Plan's to read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self, Unpack

from pydantic import BeforeValidator, Field, model_validator

from headworks.config.models.analyzers import AnalyzerNames
from headworks.config.models.answers import Redirect, Respond
from headworks.config.models.base import Model, Name, listed, table
from headworks.config.values import problem, problems, quote

if TYPE_CHECKING:
    from headworks.config.written import TargetDict

TARGETS = ("backend", "redirect", "respond", "alpn")


class Target(Model):
    """Target of one pattern; `"NAME"` is short for `{ backend = "NAME" }`. Exactly one of the four."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[TargetDict]) -> None: ...

    backend: Annotated[
        Name | None,
        Field(description="Name of the backend.", examples=["app"], json_schema_extra={"unset": "redirect or respond"}),
    ] = None
    redirect: Annotated[
        Redirect | None,
        Field(
            description="Requests are redirected. For tables of http listeners.",
            examples=[{"to": "https"}],
            json_schema_extra={"unset": "backend or respond"},
        ),
    ] = None
    respond: Annotated[
        Respond | None,
        Field(
            description="Requests get this answer. For tables of http listeners.",
            examples=[{"status": 410, "body": "Gone for good.\n"}],
            json_schema_extra={"unset": "backend or redirect"},
        ),
    ] = None

    alpn: Annotated[
        dict[Name, Name] | None,
        BeforeValidator(table),
        Field(
            description="Backends by the protocols that clients offer in their ClientHello (RFC 7301). A client goes "
            'by the first of its own that is here; "*" takes the others, and clients that offer none. Without it they '
            "are refused (alert 120). For tables of tls listeners, and of tls.passthrough, where they are not passed "
            "through.",
            examples=[{"acme-tls/1": "acme", "*": "app"}],
            json_schema_extra={"unset": "backend, redirect or respond"},
        ),
    ] = None
    analyzers: Annotated[
        AnalyzerNames,
        Field(
            description="Analyzers (their names) that are asked about what comes by this entry, in this order.",
            examples=[["tenants"]],
        ),
    ] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, (Mapping, cls)):
            return value
        if isinstance(value, str) and value:
            return {"backend": value}
        raise problem(f"{quote(value)} is neither a backend's name nor a table with {listed(TARGETS, 'or')}")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if not given:
            raise problem(f"{listed(TARGETS, 'or')} is missing")
        if len(given) > 1:
            raise problems([problem(f"give only one of {listed(TARGETS)}", key=name) for name in given[1:]])
        return self


def target_backends(target: Target) -> tuple[str, ...]:
    """Return the backends that a target leads to."""
    return (*((target.backend,) if target.backend is not None else ()), *(target.alpn or {}).values())


Table = Annotated[dict[str, Target], BeforeValidator(table)]
"""``[tables.NAME]``: pattern -> target, in file order (which matters among regular expressions only)."""
