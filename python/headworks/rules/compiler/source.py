"""Source: the text of a rule's function, its tree, and the place of everything in it.

Owns finding it: in a file, or in what linecache has of notebooks and interpreters. Bounds are here, too: a file of
1 MiB, a function of 20,000 nodes, 60 of them within each other. Must never import or run anything.
"""

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType

from headworks.rules.problems import RuleError, RuleProblem

MOST_TEXT = 1 << 20
MOST_NODES = 20_000
MOST_NESTED = 60
_LONGEST_SHOWN = 200

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Source:
    """A function as it was written."""

    file: str
    lines: tuple[str, ...]
    node: ast.FunctionDef

    @classmethod
    def of(cls, function: FunctionType) -> "Source":
        """Find and read it. Raises RuleError when that cannot be."""
        code = function.__code__
        linecache.checkcache(code.co_filename)
        lines = tuple(linecache.getlines(code.co_filename, function.__globals__))
        first = RuleProblem(reason="", file=code.co_filename, line=code.co_firstlineno)
        if not lines:
            raise _wrong(first, "its source cannot be found", "put the rule into a file, or a cell of a notebook")
        if sum(map(len, lines)) > MOST_TEXT:
            raise _wrong(first, "its file is longer than 1 MiB", "move rules and tables to modules of their own")
        found = _found(_tree("".join(lines), first), function, first)
        source = cls(code.co_filename, lines, found)
        source.bounded()
        return source

    def problem(self, node: ast.AST, reason: str, instead: str | None = None) -> RuleProblem:
        """Make a problem of a node."""
        line = getattr(node, "lineno", self.node.lineno)
        text = self.lines[line - 1].rstrip("\n") if line <= len(self.lines) else ""
        start = _characters(text, getattr(node, "col_offset", 0))
        ends_there = getattr(node, "end_lineno", line) == line
        end = _characters(text, getattr(node, "end_col_offset", 0)) if ends_there else len(text)
        return RuleProblem(
            reason=reason,
            instead=instead,
            file=self.file,
            line=line,
            column=start + 1,
            width=max(1, end - start),
            source=text,
        )

    def text(self, node: ast.AST) -> str:
        """Return what is written for a node, in one line."""
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
        lines = [line.encode() for line in self.lines[first - 1 : last]]
        lines[-1] = lines[-1][: getattr(node, "end_col_offset", 0)]
        lines[0] = lines[0][getattr(node, "col_offset", 0) :]
        shown = " ".join(" ".join(line.decode(errors="replace").split()) for line in lines)
        return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[: _LONGEST_SHOWN - 3]}..."

    def bounded(self) -> None:
        """Raise RuleError when it has too many nodes, or too many within each other."""
        waiting: list[tuple[ast.AST, int]] = [(self.node, 0)]
        count = 0
        while waiting:
            node, depth = waiting.pop()
            count += 1
            if count > MOST_NODES:
                raise RuleError([self.problem(self.node, f"it is too large: more than {MOST_NODES:,} nodes", _TABLE)])
            if depth > MOST_NESTED:
                reason = f"it is nested too deeply: more than {MOST_NESTED} levels"
                raise RuleError([self.problem(node, reason, "give parts of it names")])
            waiting += ((child, depth + deeper) for child, deeper in _children(node))


_TABLE = "write a table (a dict or a set) instead of branches"


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Yield the nodes below, with 1 for what is a level deeper: ``elif`` is none."""
    for name, value in ast.iter_fields(node):
        is_elif = isinstance(node, ast.If) and name == "orelse" and len(value) == 1 and isinstance(value[0], ast.If)
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, ast.AST) and not isinstance(child, (ast.expr_context, ast.operator, ast.cmpop)):
                yield child, 0 if is_elif else 1


def _tree(text: str, first: RuleProblem) -> ast.Module:
    try:
        return _parsed(text)
    except SyntaxError as error:
        reason = f"its source cannot be read: {error.msg}"
        raise _wrong(first, reason, "it has changed since it was imported: reload") from None
    except (RecursionError, MemoryError, ValueError):
        raise _wrong(
            first, "its file is nested too deeply to be read", "move the rule to a module of its own"
        ) from None


@lru_cache(maxsize=8)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _found(tree: ast.Module, function: FunctionType, first: RuleProblem) -> ast.FunctionDef:
    """Return the function in the tree of its file."""
    if function.__name__ == "<lambda>":
        raise _wrong(first, "a lambda is not compiled", "write a function with def")
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function.__code__.co_name:
            line = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if line == function.__code__.co_firstlineno and isinstance(node, ast.FunctionDef):
                return node
            if line == function.__code__.co_firstlineno:
                raise _wrong(first, "an async function is not compiled", "write def; what waits is an analyzer's work")
    raise _wrong(first, "its source has changed since it was imported", "import it again")


def _wrong(first: RuleProblem, reason: str, instead: str) -> RuleError:
    from dataclasses import replace

    return RuleError([replace(first, reason=reason, instead=instead)])


def _characters(text: str, offset: int) -> int:
    """Return the column in characters for one in UTF-8 bytes."""
    return len(text.encode()[:offset].decode(errors="ignore"))
