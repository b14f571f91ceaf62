"""The compiler: from a rule's source to the program that core runs.

| file | owns |
|---|---|
| source.py | finding the source, places in it, its bounds |
| kinds.py, body.py | what expressions may be; what is known where; the registry of what is compiled |
| program.py | constants, slots, registers, and their bounds |
| names.py, tables.py, attributes.py | what names and attributes stand for |
| operators.py, comparisons.py, calls.py, methods.py, matches.py, patterns.py, arguments.py | expressions |
| statements.py, answers.py | statements, verdicts |

Must never run the user's code: functions are read, constants are looked at.
"""

import ast
import inspect
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from headworks.rules.compiler import answers, attributes, calls, comparisons, names, operators
from headworks.rules.compiler.body import Body, Lead, Shared
from headworks.rules.compiler.program import MOST_CODE, MOST_NESTED, Code, measured
from headworks.rules.compiler.source import Source
from headworks.rules.compiler.statements import Statements
from headworks.rules.function import RuleFunction
from headworks.rules.problems import Refused, RuleError
from headworks.rules.subjects import Hello, Request, Response

__all__ = ["Compiled", "Lead", "compile_rule"]

_KINDS: dict[type, str] = {Request: "request", Response: "response", Hello: "hello"}
_REGISTERED = (answers, attributes, calls, comparisons, names, operators)
"""Modules that register what they compile when they are imported."""
_MOST_CALLS = 16
_MOST_INLINED = 1000


@dataclass(frozen=True)
class Compiled:
    """A program, and the backends and analyzers that its verdicts name."""

    kind: str
    program: dict[str, Any]
    backends: tuple[Lead, ...]
    analyzers: tuple[Lead, ...]


def compile_rule(rule: RuleFunction) -> Compiled:
    """Compile a rule. Raises RuleError with everything that cannot be compiled."""
    shared = Shared()
    source = Source.of(rule.code)
    codes, kind = _entered(shared, source, rule, ())
    if not shared.problems:
        size, depth = measured(codes)
        if size > MOST_CODE:
            reason = f"it becomes too large: {size:,} nodes, more than {MOST_CODE:,}"
            shared.problems.append(source.problem(source.node, reason, "write a table instead of branches"))
        elif depth > MOST_NESTED:
            reason = "its branches and expressions are nested too deeply"
            shared.problems.append(source.problem(source.node, reason, "let branches return, and give parts names"))
    if shared.problems:
        raise RuleError(shared.problems)
    program = {
        "name": rule.name,
        "kind": kind,
        "file": source.file,
        "slots": shared.program.slots,
        "matches": shared.program.registers,
        "constants": shared.program.constants,
        "body": codes,
    }
    return Compiled(kind, program, tuple(shared.backends), tuple(shared.analyzers))


def _entered(shared: Shared, source: Source, rule: RuleFunction, calls: tuple[object, ...]) -> tuple[list[Code], str]:
    """Compile the function of a rule: the first, or one that is called."""
    function = rule.code
    try:
        subject = _subject(source, function)
    except Refused as refused:
        shared.problems.append(source.problem(refused.node, refused.reason, refused.instead))
        return [], ""
    body = Body(
        shared=shared,
        source=source,
        names=names.around(function),
        subject=subject,
        locals=frozenset(function.__code__.co_varnames) | frozenset(function.__code__.co_cellvars) - {subject[0]},
        calls=(*calls, function),
    )
    return Statements(body, _called).block(source.node.body), subject[1]


def _called(caller: Body, node: ast.AST, rule: RuleFunction) -> list[Code]:
    """Compile a rule that another one calls."""
    function = rule.code
    if function in caller.calls:
        raise Refused(node, f"{rule.name} calls itself", "rules have no loops: use a table or a pattern")
    if len(caller.calls) >= _MOST_CALLS:
        raise Refused(node, f"rules call each other more than {_MOST_CALLS} deep")
    caller.shared.inlined += 1
    if caller.shared.inlined > _MOST_INLINED:
        # Nothing more is compiled: rules that call rules twice become twice as many at each step.
        reason = f"rules call each other more than {_MOST_INLINED:,} times"
        raise RuleError([caller.source.problem(node, reason, "name rules one after another where they are used")])
    source = Source.of(function)
    with caller.program.inlined():
        codes, kind = _entered(caller.shared, source, rule, caller.calls)
    if kind and kind != caller.subject[1]:
        raise Refused(node, f"{rule.name} is a rule for a {kind}, and this one is for a {caller.subject[1]}")
    return codes


def _subject(source: Source, function: FunctionType) -> tuple[str, str]:
    """Return the name of the argument, and what it is by its annotation."""
    written = source.node.args
    every = [*written.posonlyargs, *written.args, *written.kwonlyargs]
    if len(every) != 1 or written.kwonlyargs or written.vararg or written.kwarg or written.defaults:
        raise Refused(source.node.args if not every else every[-1], "a rule has one argument", _ARGUMENT)
    argument = every[0]
    annotation = inspect.get_annotations(function).get(argument.arg)
    if isinstance(annotation, str):
        annotation = names.around(function).get(annotation.strip("\"'")) or _dotted(function, annotation)
    kind = _KINDS.get(annotation) if isinstance(annotation, type) else None
    if kind is None:
        raise Refused(argument, f"{argument.arg} is not said to be a request, response or hello", _ARGUMENT)
    return argument.arg, kind


_ARGUMENT = "write (request: headworks.Request), (response: headworks.Response) or (hello: headworks.Hello)"


def _dotted(function: FunctionType, annotation: str) -> Any:
    """Return what ``headworks.Request`` stands for, where annotations are kept as text."""
    first, *rest = annotation.strip("\"'").split(".")
    found = names.around(function).get(first)
    for name in rest:
        found = getattr(found, name, None) if inspect.ismodule(found) else None
    return found
