"""Reasons: what pydantic finds wrong with a value, in our words.

Owns the sentences. Must never know a particular key, nor where a value was written.
"""

from pydantic_core import ErrorDetails

from headworks.config.problems import Path
from headworks.config.values import quote

Finding = tuple[Path, str, str | None]
"""A place where something is wrong, the reason, and what was probably meant."""

_REASONS = {
    "missing": "required key is missing",
    "string_type": "{value} is not a string",
    "int_type": "{value} is not a whole number",
    "bool_type": "{value} is neither true nor false",
    "dict_type": "{value} is not a table",
    "model_type": "{value} is not a table",
    "tuple_type": "{value} is not a list",
    "greater_than_equal": "must be at least {ge}, not {value}",
    "less_than_equal": "must be at most {le}, not {value}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "cannot be empty",
}


def explain(details: ErrorDetails) -> list[Finding]:
    """Put one pydantic error into our words."""
    path = tuple(key for key in details["loc"] if key != "[key]")
    values = details.get("ctx", {})
    if details["type"] == "headworks":
        return [((*path, *one["below"]), one["reason"], one["suggestion"]) for one in values["found"]]
    reason = _REASONS.get(details["type"], details["msg"])
    if values.get("min_length") == 1:
        reason = _REASONS["too_short"]
    shown = {**values, "value": quote(details["input"])}
    if path == ("listeners",) and details["type"] in ("missing", "too_short"):
        return [(path, "no listener is configured: add [listeners.NAME]", None)]
    return [(path, reason.format(**shown) if details["type"] in _REASONS else reason, None)]
