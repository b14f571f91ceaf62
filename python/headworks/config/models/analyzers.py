"""``[analyzers.NAME]``: Python objects that are consulted, and how they are named.

Owns how they are written and what a name has become when it was looked up. Must never import a module:
config/analyzers.py does, when a configuration is checked.
"""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Unpack

from pydantic import BeforeValidator, Field

from headworks.config.models.base import Model, Name, known, one_or_many, table
from headworks.config.models.objects import NAME, ClassName
from headworks.config.values import Duration

if TYPE_CHECKING:
    from headworks.analyzers.declared import Declared
    from headworks.config.written import AnalyzerSettingsDict

Hook = Literal["accepted", "first_bytes", "hello", "request", "request_body", "response", "response_body", "ended"]


class AnalyzerName(ClassName):
    """The name of a class of analyzers (or of one that was made), and where it is looked for."""

    __slots__ = ()

    example = "site:Tenants"

    @property
    def declared(self) -> "Declared | None":
        """Return how it is made, once it was checked."""
        declared: Declared | None = self.made
        return declared

    @declared.setter
    def declared(self, how: "Declared") -> None:
        self.made = how

    @classmethod
    def base(cls) -> type:
        """Return the class of analyzers, which is imported where one is given."""
        from headworks.analyzers.base import Analyzer

        return Analyzer


class AnalyzerSettings(Model):
    """``[analyzers.NAME]``: a Python object that is consulted about connections and exchanges."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[AnalyzerSettingsDict]) -> None: ...

    python: Annotated[
        AnalyzerName,
        Field(
            description="The class, module:Class, which derives from headworks.Analyzer; or an object of one. Modules "
            "are found beside the file, then on sys.path. In Python the class or the object itself.",
            examples=["site:Tenants"],
        ),
    ]
    arguments: Annotated[
        dict[str, Any],
        BeforeValidator(table),
        Field(description="What the class is called with, by name.", examples=[{"dsn": "sqlite:tenants.db"}]),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    deadline: Annotated[
        timedelta,
        Duration("1ms", "1h"),
        Field(
            description="How long an answer may take; the connection or exchange is held meanwhile. After it "
            "on_failure decides.",
            examples=["50ms"],
        ),
    ] = timedelta(seconds=1)
    on_failure: Annotated[
        Literal["pass", "reject"],
        known("consequence", ("pass", "reject")),
        Field(
            description="What happens without an answer: after the deadline, an exception, a wrong verdict, or when as "
            "many wait as may. reject: the client is refused (503, an alert, or closed). pass: it goes on as if the "
            "analyzer had nothing against it.",
            examples=["pass"],
        ),
    ] = "reject"
    waiting: Annotated[
        int,
        Field(
            ge=1,
            le=1_000_000,
            description="Connections and exchanges that wait for it at most; for more, on_failure decides at once.",
            examples=[256],
            json_schema_extra={"unit": "connections and exchanges"},
        ),
    ] = 1024
    concurrency: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            description="Threads that run its plain methods. More than one is for methods that block: with one "
            "interpreter lock they take turns. Coroutines all run in one event loop.",
            examples=[8],
            json_schema_extra={"unit": "threads"},
        ),
    ] = 1
    hooks: Annotated[
        tuple[Hook, ...] | None,
        BeforeValidator(one_or_many),
        Field(
            description="The methods that are called, when fewer than the class defines.",
            examples=[["request"]],
            json_schema_extra={"unset": "all that the class defines"},
        ),
    ] = None


AnalyzerNames = Annotated[tuple[Name, ...], BeforeValidator(one_or_many)]
"""Analyzers in the order in which they are asked."""


def anchor(value: Any, directory: Path) -> None:
    """Tell the names in ``value`` where they are looked for."""
    below = value.get("analyzers")
    for one in below.values() if isinstance(below, dict) else ():
        name = one.get("python") if isinstance(one, dict) else None
        if isinstance(name, AnalyzerName):
            one["python"] = name.anchored(directory)
        elif isinstance(name, str) and NAME.fullmatch(name):
            one["python"] = AnalyzerName(name, directory)
