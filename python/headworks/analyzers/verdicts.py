"""Verdicts that only analyzers have, and how every verdict is given to the engine.

Owns what may be answered at which moment. Must never act.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from headworks.rules.verdicts import (
    AnalyzerPart,
    Consult,
    Limit,
    Log,
    Redirect,
    Reject,
    Respond,
    Rewrite,
    Route,
    Verdict,
)

MOST_NEED = 1 << 20
"""Bytes that may be waited for: a part of a body is held no longer."""
_MOST_BODY = 1 << 30


@dataclass(frozen=True)
class Bypass(AnalyzerPart):
    """The analyzer is not asked again on this connection or exchange."""

    word: ClassVar[str] = "bypass"


@dataclass(frozen=True)
class Wait(AnalyzerPart):
    """The analyzer is asked again when so many bytes are held."""

    word: ClassVar[str] = "wait"
    need: int


@dataclass(frozen=True)
class ReadBody(AnalyzerPart):
    """The analyzer is asked again with the whole body of the request."""

    word: ClassVar[str] = "read_body"
    limit: int


@dataclass(frozen=True)
class Replace(AnalyzerPart):
    """Other bytes go on in place of a part of a body."""

    word: ClassVar[str] = "replace"
    content: bytes


@dataclass(frozen=True)
class Drop(AnalyzerPart):
    """A part of a body does not go on."""

    word: ClassVar[str] = "drop"


@dataclass(frozen=True)
class Finish(AnalyzerPart):
    """The body ends here."""

    word: ClassVar[str] = "finish"


def bypass() -> Verdict:
    """Do not ask this analyzer again on this connection or exchange."""
    return Verdict((Bypass(),))


def wait(need: int) -> Verdict:
    """Ask again when ``need`` bytes are held in all (1 to 1,048,576): first bytes, or bytes of a body.

    Raises ValueError for another number.
    """
    if not 1 <= need <= MOST_NEED:
        raise ValueError(f"need is between 1 and {MOST_NEED:,}, not {need}")
    return Verdict((Wait(need),))


def read_body(limit: int) -> Verdict:
    """Ask ``request`` again with the whole body in ``exchange.body``; a longer one than ``limit`` bytes gets 413.

    ``limit`` is between 1 and 1,073,741,824. Raises ValueError for another number.
    """
    if not 1 <= limit <= _MOST_BODY:
        raise ValueError(f"limit is between 1 and {_MOST_BODY:,}, not {limit}")
    return Verdict((ReadBody(limit),))


def replace(content: bytes | bytearray | memoryview) -> Verdict:
    """Send ``content`` in place of the part of the body that was shown."""
    return Verdict((Replace(bytes(content)),))


def drop() -> Verdict:
    """Send nothing of the part of the body that was shown."""
    return Verdict((Drop(),))


def finish() -> Verdict:
    """End the body with this part; what still comes is not sent on."""
    return Verdict((Finish(),))


_ALWAYS = (Log, Bypass)
_BODY = (*_ALWAYS, Replace, Drop, Finish, Wait, Reject)
MAY_SAY: dict[str, tuple[Any, ...]] = {
    "accepted": (*_ALWAYS, Route, Reject, Limit),
    "first_bytes": (*_ALWAYS, Route, Reject, Limit, Consult, Wait),
    "hello": (*_ALWAYS, Route, Reject, Limit, Consult),
    "request": (*_ALWAYS, Route, Respond, Redirect, Reject, Rewrite, Limit, Consult, ReadBody),
    "response": (*_ALWAYS, Respond, Redirect, Reject, Rewrite, Limit, Consult),
    "request_body": _BODY,
    "response_body": _BODY,
}
"""The parts that an answer may have at each moment."""

Encoded = tuple[tuple[Any, ...], ...]


class WrongVerdictError(Exception):
    """An answer that cannot be given at this moment."""


def encode(verdict: object, hook: str) -> Encoded | None:
    """Return an answer as the engine takes it. Raises WrongVerdictError."""
    if verdict is None:
        return None
    if not isinstance(verdict, Verdict):
        raise WrongVerdictError(f"{hook} answered {verdict!r}, which is neither a verdict nor None")
    allowed = MAY_SAY[hook]
    for part in verdict.parts:
        if not isinstance(part, allowed):
            words = ", ".join(sorted(kind.word for kind in allowed))
            raise WrongVerdictError(f"{hook} may not answer {getattr(part, 'word', part)}; it may answer {words}")
    try:
        return tuple([_encoded(part) for part in verdict.parts])
    except (AttributeError, TypeError, ValueError) as error:
        raise WrongVerdictError(f"{hook} answered {verdict!r}: {error}") from None


def _rewrite(part: Any) -> tuple[Any, ...]:
    changed = tuple((_text(name), None if value is None else _text(value)) for name, value in part.set)
    added = tuple((_text(name), _text(value)) for name, value in part.add)
    return changed, added, part.remove, part.path, part.host, part.query


def _fields(headers: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _text(value)) for name, value in headers)


_PARTS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    Route: lambda part: (_text(part.backend), None if part.server is None else _text(part.server)),
    Respond: lambda part: (int(part.status), _bytes(part.body), _fields(part.headers)),
    Redirect: lambda part: (_text(part.to), int(part.code)),
    Reject: lambda part: (str(part.reason),),
    Rewrite: _rewrite,
    Limit: lambda part: (str(part.key), part.requests, part.per, part.burst),
    Log: lambda part: (tuple((name, str(value)) for name, value in part.fields),),
    Consult: lambda part: (_text(part.analyzer),),
    Wait: lambda part: (part.need,),
    ReadBody: lambda part: (part.limit,),
    Replace: lambda part: (part.content,),
}
"""The words of each part behind its word."""


def _encoded(part: Any) -> tuple[Any, ...]:
    encoder = _PARTS.get(type(part))
    return (part.word, *encoder(part)) if encoder is not None else (part.word,)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _bytes(body: object) -> bytes:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    return _text(body).encode("utf-8", "surrogateescape")
