"""``rules``: names of Python functions, ``module:function``, or the functions themselves.

Owns how they are written and what a name has become when it was looked up. Must never import a module: config/rules.py
does, when a configuration is checked.
"""

from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator

from headworks.config.models.base import many
from headworks.config.models.objects import NAME, ObjectName
from headworks.config.values import problem, quote
from headworks.rules.function import RuleFunction

if TYPE_CHECKING:
    from headworks.rules.compiler import Compiled


class RuleName(ObjectName):
    """The name of a rule, and where it is looked for."""

    __slots__ = ()

    @property
    def compiled(self) -> "Compiled | None":
        """Return the program, once it was checked."""
        compiled: Compiled | None = self.made
        return compiled

    @compiled.setter
    def compiled(self, program: "Compiled") -> None:
        self.made = program

    @classmethod
    def read(cls, value: object) -> Self:
        """Take a name or a function. Raises PydanticCustomError."""
        if isinstance(value, cls):
            return value
        if isinstance(value, FunctionType):
            value = RuleFunction(value)
        if isinstance(value, RuleFunction):
            return cls(value.name, given=value)
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise problem(f"{quote(value)} is not module:function, such as site:route")
        return cls(value)


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, (str, RuleFunction, FunctionType)) else many(value)


Rules = Annotated[tuple[RuleName, ...], BeforeValidator(_one_or_more)]
"""Rules in the order in which they are asked."""


def anchor(value: Any, directory: Path) -> None:
    """Tell the names in ``value`` where they are looked for."""
    for section in ("listeners", "backends"):
        below = value.get(section)
        for one in below.values() if isinstance(below, dict) else ():
            names = one.get("rules") if isinstance(one, dict) else None
            if isinstance(names, (list, str)) and names:
                every = [names] if isinstance(names, str) else names
                one["rules"] = [_anchored(name, directory) for name in every]


def _anchored(name: Any, directory: Path) -> Any:
    if isinstance(name, RuleName):
        return name.anchored(directory)
    return RuleName(name, directory) if isinstance(name, str) and NAME.fullmatch(name) else name
