"""``[tables.NAME]``: what a pattern leads to. The patterns themselves are the Plan's to read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self, Unpack

from pydantic import BeforeValidator, Field, model_validator

from headworks.config.models.analyzers import AnalyzerNames
from headworks.config.models.answers import Redirect, Respond
from headworks.config.models.base import Model, Name, table
from headworks.config.values import problem, problems, quote

if TYPE_CHECKING:
    from headworks.config.written import TargetDict

TARGETS = ("backend", "redirect", "respond")


class Target(Model):
    """Target of one pattern; `"NAME"` is short for `{ backend = "NAME" }`. Exactly one of the three."""

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
        raise problem(f"{quote(value)} is neither the name of a backend nor a table with backend, redirect or respond")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if not given:
            raise problem("backend, redirect or respond is missing")
        if len(given) > 1:
            raise problems([problem("give only one of backend, redirect and respond", key=name) for name in given[1:]])
        return self


Table = Annotated[dict[str, Target], BeforeValidator(table)]
"""``[tables.NAME]``: pattern -> target, in file order (which matters among regular expressions only)."""
