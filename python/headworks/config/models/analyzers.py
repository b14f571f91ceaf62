"""``[analyzers.NAME]``: Python objects that are consulted, and how they are named.

Owns how they are written and what a name has become when it was looked up. Must never import a module:
config/analyzers.py does, when a configuration is checked.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Unpack

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from headworks.config.models.base import Model, Name, known, one_or_many, table
from headworks.config.values import Duration, problem, quote

if TYPE_CHECKING:
    from headworks.analyzers.declared import Declared
    from headworks.config.written import AnalyzerSettingsDict

Hook = Literal["accepted", "first_bytes", "hello", "request", "request_body", "response", "response_body", "ended"]
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class AnalyzerName(str):
    """The name of a class of analyzers (or of one that was made), and where it is looked for."""

    __slots__ = ("declared", "directory", "given")

    def __new__(cls, name: str, directory: Path | None = None, given: object = None) -> Self:
        """Name it; ``given`` is the class or object where there is no need to look for it."""
        made = super().__new__(cls, name)
        made.directory = directory
        made.given = given
        made.declared = None
        return made

    directory: Path | None
    """The folder of the configuration; None before it is known."""
    given: object
    declared: "Declared | None"
    """How it is made, once it was checked."""

    @classmethod
    def read(cls, value: object) -> "AnalyzerName":
        """Take a name, a class or an object. Raises PydanticCustomError."""
        if isinstance(value, AnalyzerName):
            return value
        if isinstance(value, str):
            if not _NAME.fullmatch(value):
                raise problem(f"{quote(value)} is not module:Class, such as site:Tenants")
            return cls(value)
        from headworks.analyzers.base import Analyzer

        kind = value if isinstance(value, type) else type(value)
        if not issubclass(kind, Analyzer):
            raise problem(f"{kind.__name__} is no analyzer: derive it from headworks.Analyzer")
        return cls(f"{kind.__module__}:{kind.__qualname__}", given=value)

    def __deepcopy__(self, known: object) -> "AnalyzerName":
        """Return the same name, to be looked up again."""
        return AnalyzerName(self, self.directory, self.given)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by ``read``."""
        text = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_plain_validator_function(cls.read, serialization=text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that it is a text."""
        return {"type": "string"}


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
            one["python"] = AnalyzerName(name, name.directory or directory, name.given)
        elif isinstance(name, str) and _NAME.fullmatch(name):
            one["python"] = AnalyzerName(name, directory)
