"""Emit: the tree of a pattern as an expression of ours (``~``), which matches the same names.

Must never need a flag: what it writes means the same to the engine's expressions and to Python's.
"""

from headworks.importing.sniproxy.syntax import (
    ANY,
    DIGITS,
    WORD,
    Boundary,
    Chars,
    Choice,
    End,
    Node,
    Repeat,
    Row,
    Start,
)

_SPECIAL = frozenset("\\.+*?()|[]{}^$#&-~")
_IN_CLASS = frozenset("\\[]^&~|")
_SHORT = 3
"""Characters in a row from which on they are written as a range."""


def expression(node: Node) -> str:  # noqa: PLR0911  (one return a kind)
    """Return the expression."""
    match node:
        case Chars(chosen):
            return _chars(chosen)
        case Start():
            return "^"
        case End():
            return "$"
        case Boundary(is_one):
            return r"\b" if is_one else r"\B"
        case Row(items):
            return "".join(_grouped(item) if isinstance(item, Choice) else expression(item) for item in items)
        case Choice(options):
            return "|".join(expression(option) for option in options)
        case Repeat(item, least, most):
            return _repeated(item) + _times(least, most)


def literal(character: str) -> str:
    """Return a character that stands for itself."""
    if character in _SPECIAL and character not in "-~&#":
        return f"\\{character}"
    return character if character.isprintable() else f"\\x{ord(character):02x}"


def _grouped(node: Choice) -> str:
    # A choice of one is a group that is no longer needed.
    return expression(node.options[0]) if len(node.options) == 1 else f"(?:{expression(node)})"


def _repeated(item: Node) -> str:
    return expression(item) if isinstance(item, Chars) else f"(?:{expression(item)})"


def _times(least: int, most: int | None) -> str:
    match least, most:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _ if least == most:
            return f"{{{least}}}"
        case _:
            return f"{{{least},{'' if most is None else most}}}"


def _chars(chosen: frozenset[str]) -> str:
    named = {ANY: ".", DIGITS: r"\d", WORD: r"\w", frozenset(): r"[^\x00-\x7f]"}
    if chosen in named:
        return named[chosen]
    if len(chosen) == 1:
        return literal(next(iter(chosen)))
    plain = f"[{_ranges(chosen)}]"
    without = f"[^{_ranges(ANY - chosen)}]"
    return min(plain, without, key=len) if chosen <= ANY else plain


def _ranges(chosen: frozenset[str]) -> str:
    runs: list[list[str]] = []
    for one in sorted(chosen, key=_rank):
        if runs and one.isalnum() and ord(one) == ord(runs[-1][-1]) + 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    return "".join(
        f"{_member(run[0])}-{_member(run[-1])}" if len(run) >= _SHORT else "".join(map(_member, run)) for run in runs
    )


def _rank(character: str) -> tuple[bool, bool, bool, str]:
    """Letters first, then digits; the hyphen last, where it means itself."""
    return character == "-", not character.isalpha(), not character.isdigit(), character


def _member(character: str) -> str:
    if character in _IN_CLASS:
        return f"\\{character}"
    return character if character.isprintable() else f"\\x{ord(character):02x}"
