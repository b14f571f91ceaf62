"""RuleFunction: a function that was made a rule, as the compiler sees it.

Owns the function and the name that configurations have for it. Must never know how it is compiled.
"""

from types import FunctionType
from typing import Any


class RuleFunction:
    """A function that rules are made of, and that other rules may call."""

    def __init__(self, function: Any) -> None:
        if not isinstance(function, FunctionType):
            raise TypeError(f"a rule is a function, and this is {type(function).__name__}")
        self.code: FunctionType = function
        self.__doc__ = function.__doc__
        self.__name__: str = function.__name__
        self.__qualname__: str = function.__qualname__
        self.__module__: str = function.__module__
        self.__wrapped__ = function

    @property
    def name(self) -> str:
        """``module:function``, as configurations name it."""
        return f"{self.__module__}:{self.__qualname__}"

    def __repr__(self) -> str:
        """Name it."""
        return f"<rule {self.name}>"
