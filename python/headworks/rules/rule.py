"""``@rule``: a function of a request, response or hello that answers with a verdict, compiled where it is used.

Owns the object that stands for the function: called, it runs as ordinary Python, which is what tests and the compiled
program are held to. Must never compile by itself: a configuration that names it does, or ``compile()``.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from headworks.rules.function import RuleFunction
from headworks.rules.subjects import Hello, Request, Response
from headworks.rules.verdicts import Verdict

if TYPE_CHECKING:
    from headworks.rules.compiler import Compiled

S = TypeVar("S", Request, Response, Hello)


class Rule(RuleFunction, Generic[S]):
    """A function that decides about a Request, a Response or a Hello: a verdict, or None to go on."""

    def __init__(self, function: Callable[[S], Verdict | None]) -> None:
        super().__init__(function)
        self.function: Callable[[S], Verdict | None] = function

    def __call__(self, subject: S, /) -> Verdict | None:
        """Run as Python. Raises TypeError when the function answers with anything but a verdict or None."""
        answer = self.function(subject)
        if answer is not None and not isinstance(answer, Verdict):
            raise TypeError(f"{self.name} answered with {type(answer).__name__}: a rule answers with a verdict or None")
        return answer

    def compile(self) -> "dict[str, Any]":
        """Return the program that core runs. Raises RuleError with everything that cannot be compiled."""
        return self.compiled().program

    def compiled(self) -> "Compiled":
        """Return the program and what it leads to. Raises RuleError with everything that cannot be compiled."""
        from headworks.rules.compiler import compile_rule

        return compile_rule(self)


def rule(function: Callable[[S], Verdict | None]) -> Rule[S]:
    """Make a function of one annotated argument a rule: ``def route(request: headworks.Request) -> ...``."""
    return Rule(function)
