"""Durations, sizes and permission bits: how they are written, checked and shown.

Each is metadata of a field (``Annotated[timedelta, Duration("1ms", "1h")]``) so that the range stands beside the
key and
documentation can read it. The value a program sees is plain: timedelta, or int (bytes, mode). Must never guess a unit:
a bare number of seconds is what an outage is made of.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from headworks.config.problems import did_you_mean, one_line

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PERMISSION_BITS = 0o777
_GUESSED_UNITS = {
    re.compile(r"ms|msecs?|millis(econds?)?"): 1,
    re.compile(r"s|secs?|seconds?"): 1000,
    re.compile(r"m|mins?|minutes?"): 60_000,
    re.compile(r"h|hrs?|hours?"): 3_600_000,
    re.compile(r"d|days?"): 86_400_000,
    re.compile(r"w|weeks?"): 604_800_000,
}
"""Units as other programs write them, in milliseconds."""


def problem(
    reason: str, suggestion: str | None = None, key: str | tuple[str, ...] | None = None
) -> PydanticCustomError:
    """Make an error of one value.

    ``suggestion`` is what was probably meant; ``key`` is the key (or the keys that lead to it) below the place where
    it is raised.
    """
    below = (key,) if isinstance(key, str) else key or ()
    shown = reason.replace("{", "{{").replace("}", "}}")
    return PydanticCustomError(
        "headworks", shown, {"found": [{"reason": reason, "suggestion": did_you_mean(suggestion), "below": below}]}
    )


def problems(several: Sequence[PydanticCustomError]) -> PydanticCustomError:
    """Make one error of several, each made by ``problem``: a model can raise but one."""
    if len(several) == 1:
        return several[0]
    found = [one for error in several for one in (error.context or {})["found"]]
    shown = "; ".join(": ".join([*one["below"][-1:], one["reason"]]) for one in found)
    return PydanticCustomError("headworks", shown.replace("{", "{{").replace("}", "}}"), {"found": found})


class Written(Protocol):
    """A scalar that is written otherwise than it is kept."""

    def read(self, value: object) -> Any:
        """Turn what was written into what is kept. Raises PydanticCustomError."""

    def show(self, value: Any) -> str:
        """Write what is kept: ``read(show(x)) == x``."""


@dataclass(frozen=True)
class _Scalar:
    """A kind of value: validated by ``read`` and serialised by ``show``."""

    def read(self, value: object) -> Any:
        raise NotImplementedError

    def show(self, value: Any) -> str:
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        show: Callable[[Any], str] = self.show
        schema = core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(show, when_used="json")
        )
        return core_schema.nullable_schema(schema) if type(None) in get_args(source) else schema

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string"}


@dataclass(frozen=True)
class Duration(_Scalar):
    """A length of time, kept as timedelta in whole milliseconds (microseconds where ``step`` is in them).

    ``minimum`` and ``maximum`` are inclusive. ``zero`` says what ``"0s"`` means, where it is allowed below the minimum.
    ``step`` is what it must be a whole number of.
    """

    minimum: str = "1ms"
    maximum: str = "24h"
    zero: str | None = None
    step: str = "1ms"

    def read(self, value: object) -> timedelta:
        """Read ``"500ms"``, ``"2s"``, ``"10m"``, ``"1h"`` or a timedelta."""
        kept = value if isinstance(value, timedelta) else _length(value)
        if kept % timedelta(milliseconds=1) and not self.step.endswith("us"):
            raise problem("durations are whole milliseconds")
        if not kept and self.zero:
            return kept
        if kept % _length(self.step):
            raise problem(f"{show_duration(kept)} is not a multiple of {self.step}")
        low, high = _length(self.minimum), _length(self.maximum)
        if not low <= kept <= high:
            off = f' (or "0s": {self.zero})' if self.zero else ""
            raise problem(f"{show_duration(kept)} is not between {self.minimum} and {self.maximum}{off}")
        return kept

    def show(self, value: timedelta) -> str:
        """Write in the largest unit that divides it."""
        return show_duration(value)


@dataclass(frozen=True)
class Size(_Scalar):
    """A number of bytes. ``minimum`` and ``maximum`` are inclusive."""

    minimum: str
    maximum: str

    def read(self, value: object) -> int:
        """Read ``"64KiB"``, ``"1MiB"`` or a whole number of bytes."""
        kept = _bytes(value)
        if not _bytes(self.minimum) <= kept <= _bytes(self.maximum):
            raise problem(f"{show_size(kept)} is not between {self.minimum} and {self.maximum}")
        return kept

    def show(self, value: int) -> str:
        """Write in the largest unit that divides it."""
        return show_size(value)


@dataclass(frozen=True)
class Rate(Size):
    """A number of bytes a second; the limits are written without ``/s``."""

    def read(self, value: object) -> int:
        """Read ``"1MiB/s"`` or a whole number of bytes a second."""
        if not isinstance(value, str):
            return super().read(value)
        if not value.endswith("/s"):
            raise problem(f'{quote(value)} is not a rate such as "1MiB/s"', suggestion=f'"{value}/s"')
        return super().read(value.removesuffix("/s"))

    def show(self, value: int) -> str:
        """Write in the largest unit that divides it."""
        return f"{show_size(value)}/s"


@dataclass(frozen=True)
class Mode(_Scalar):
    """Permission bits of a file."""

    def read(self, value: object) -> int:
        """Read ``"0660"`` (octal digits) or a number such as TOML's ``0o660``."""
        if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
            return int(value, 8)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _PERMISSION_BITS:
            return value
        raise problem(f'{quote(value)} is not a file mode of octal digits such as "0660"')

    def show(self, value: int) -> str:
        """Write four octal digits."""
        return f"0{value:03o}"


def show_duration(value: timedelta) -> str:
    """Write a duration in the largest unit that divides it."""
    if value % timedelta(milliseconds=1):
        return f"{value // timedelta(microseconds=1)}us"
    milliseconds = value // timedelta(milliseconds=1)
    unit = next((unit for unit in ("h", "m", "s") if milliseconds and milliseconds % _MILLISECONDS[unit] == 0), None)
    if unit is None:
        return f"{milliseconds}ms" if milliseconds else "0s"
    return f"{milliseconds // _MILLISECONDS[unit]}{unit}"


def show_size(value: int) -> str:
    """Write a number of bytes in the largest unit that divides it."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if value and value % _BYTES[unit] == 0), "B")
    return f"{value // _BYTES[unit]}{unit}"


def quote(value: object) -> str:
    """Show a value as TOML would have it, short enough for one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            text = value if len(value) <= 80 else value[:77] + "..."  # noqa: PLR2004  (a line of a terminal)
            return one_line(f'"{text}"')
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def _length(value: object) -> timedelta:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise problem(f"{value} lacks a unit (ms, s, m or h)", suggestion=f'"{value}s"')
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,12})(us|ms|s|m|h)", value)):
        number, unit = int(match[1]), match[2]
        return timedelta(microseconds=number) if unit == "us" else timedelta(milliseconds=number * _MILLISECONDS[unit])
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
        raise problem(f"{quote(value)} lacks a unit (ms, s, m or h)", suggestion=f'"{value}s"')
    guessed = _guess(value) if isinstance(value, str) else None
    raise problem(f'{quote(value)} is not a duration such as "500ms", "2s", "10m" or "1h"', suggestion=guessed)


def _guess(text: str) -> str | None:
    """Return the duration that was probably meant by ``1d``, ``10 minutes`` or ``1h30m``."""
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]+)", text.lower())
    if not re.fullmatch(r"(\s*[0-9.]+\s*[a-z]+\s*)+", text.lower()) or not parts:
        return None
    total = 0.0
    for number, word in parts:
        factor = next((factor for unit, factor in _GUESSED_UNITS.items() if unit.fullmatch(word)), None)
        if factor is None:
            return None
        total += float(number) * factor
    return f'"{show_duration(timedelta(milliseconds=round(total)))}"'


def _bytes(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,16})(B|KiB|MiB|GiB)", value)):
        return int(match[1]) * _BYTES[match[2]]
    suggestion = None
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,12}) ?([kmg])i?b?", value.lower())):
        suggestion = f'"{match[1]}{match[2].upper()}iB"'
    raise problem(f'{quote(value)} is not a size such as "64KiB" or "1MiB"', suggestion=suggestion)
