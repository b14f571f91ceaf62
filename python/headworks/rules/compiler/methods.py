"""Methods of texts, and what is taken out of them: slices, characters, parts of split and partition.

Owns which of them are compiled, and what to write instead of the others. Must never compile a method of anything else.
"""

import ast
from collections.abc import Callable

from headworks.rules.compiler.arguments import bound, constant_of, optional
from headworks.rules.compiler.body import Body, Value
from headworks.rules.compiler.kinds import BOOL, INT, TEXT
from headworks.rules.compiler.program import Code
from headworks.rules.problems import Refused

Method = Callable[[Body, ast.Call, Code], Value]

INSTEAD = {
    "replace": "take it apart with partition, or re.fullmatch with groups",
    "casefold": "write lower()",
    "title": "write lower()",
    "capitalize": "write lower()",
    "swapcase": "write lower()",
    "isdigit": 'write re.fullmatch("[0-9]+", ...)',
    "isdecimal": 'write re.fullmatch("[0-9]+", ...)',
    "isnumeric": 'write re.fullmatch("[0-9]+", ...)',
    "isalpha": 'write re.fullmatch("[A-Za-z]+", ...)',
    "isalnum": 'write re.fullmatch("[0-9A-Za-z]+", ...)',
    "format": "write an f-string",
    "join": "write an f-string or +",
    "index": "write find()",
    "rindex": "write rfind()",
    "count": "write in, find() or a pattern",
    "encode": "texts stay texts in rules",
    "splitlines": "texts of requests have one line",
}
PARTS = ("split", "rsplit", "partition", "rpartition")
"""Methods whose result must be indexed at once."""


def method(body: Body, node: ast.Call, name: str, whole: Value) -> Value:
    """Compile ``text.name(...)``."""
    if name in PARTS:
        raise Refused(node, f"{name}() gives several texts", f"take one of them: {name}(...)[0]")
    if name not in METHODS:
        raise Refused(node.func, f"{name}() is not compiled", INSTEAD.get(name, f"there are {', '.join(METHODS)}"))
    return METHODS[name](body, node, body.of(whole, TEXT, f"{name}() needs"))


def _case(word: str) -> Method:
    def compiled(_body: Body, node: ast.Call, text: Code) -> Value:
        bound(node, ())
        return Value(node, TEXT, {word: text})

    return compiled


def _edge(word: str, name: str) -> Method:
    def compiled(body: Body, node: ast.Call, text: Code) -> Value:
        argument = bound(node, ("prefix",), least=1)["prefix"]
        given = body.value(argument)
        several = given.static if isinstance(given.static, tuple) else None
        if several is not None and all(isinstance(one, str) for one in several):
            codes = [{"text": body.text_constant(argument, one)} for one in several]
        else:
            codes = [body.of(given, TEXT, f"{name}() needs")]
        return Value(node, BOOL, {word: [text, codes]})

    return compiled


def _removed(word: str, name: str) -> Method:
    def compiled(body: Body, node: ast.Call, text: Code) -> Value:
        argument = bound(node, ("affix",), least=1)["affix"]
        return Value(node, TEXT, {word: [text, body.text(argument, f"{name}() needs")]})

    return compiled


def _stripped(side: str, name: str) -> Method:
    def compiled(body: Body, node: ast.Call, text: Code) -> Value:
        argument = bound(node, ("chars",)).get("chars")
        return Value(node, TEXT, {"strip": [text, optional(body, argument, TEXT, f"{name}() needs"), side]})

    return compiled


def _found(side: str, name: str) -> Method:
    def compiled(body: Body, node: ast.Call, text: Code) -> Value:
        argument = bound(node, ("sub",), least=1)["sub"]
        return Value(node, INT, {"find": [text, body.text(argument, f"{name}() needs"), side]})

    return compiled


METHODS: dict[str, Method] = {
    "lower": _case("lower"),
    "upper": _case("upper"),
    "startswith": _edge("starts", "startswith"),
    "endswith": _edge("ends", "endswith"),
    "removeprefix": _removed("remove_prefix", "removeprefix"),
    "removesuffix": _removed("remove_suffix", "removesuffix"),
    "strip": _stripped("both", "strip"),
    "lstrip": _stripped("left", "lstrip"),
    "rstrip": _stripped("right", "rstrip"),
    "find": _found("left", "find"),
    "rfind": _found("right", "rfind"),
}


def part(body: Body, node: ast.Subscript, call: ast.Call, whole: Value) -> Value:
    """Compile ``text.split(separator)[index]``, and the same of rsplit, partition and rpartition."""
    name = _name(call)
    text = body.of(whole, TEXT, f"{name}() needs")
    index = constant_of(body, node.slice, int, f"the index of {name}()")
    side = "right" if name.startswith("r") else "left"
    if name.endswith("partition"):
        return Value(node, TEXT, partition(body, call, text, index))
    arguments = bound(call, ("sep", "maxsplit"))
    separator = optional(body, arguments.get("sep"), TEXT, f"{name}() needs")
    most = constant_of(body, arguments["maxsplit"], int, "maxsplit") if "maxsplit" in arguments else None
    return Value(node, TEXT, {"split": [text, separator, None if most is None or most < 0 else most, index, side]})


def partition(body: Body, call: ast.Call, text: Code, index: int) -> Code:
    """Compile one of the three parts."""
    name = _name(call)
    if not -3 <= index < 3:  # noqa: PLR2004  (a partition has three)
        raise Refused(call, f"{name}() gives three texts")
    separator = body.text(bound(call, ("sep",), least=1)["sep"], f"{name}() needs")
    return {"partition": [text, separator, index % 3, "right" if name.startswith("r") else "left"]}


def slice_of(body: Body, node: ast.Subscript, whole: Value) -> Value:
    """Compile ``text[1:]`` and ``text[0]``."""
    text = body.of(whole, TEXT, "[] needs")
    if not isinstance(node.slice, ast.Slice):
        return Value(node, TEXT, {"index": [text, body.of(body.value(node.slice), INT, "an index must be")]})
    if node.slice.step is not None:
        raise Refused(node.slice.step, "steps of slices are not compiled", "write text[start:stop]")
    bounds = [optional(body, one, INT, "a slice needs") for one in (node.slice.lower, node.slice.upper)]
    return Value(node, TEXT, {"slice": [text, *bounds]})


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
