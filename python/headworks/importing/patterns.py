"""Patterns: regular expressions of other programs, where ours mean the same.

Must never let through what our engine refuses, or what another engine reads otherwise: looking around, references back.
"""

import re
import warnings
from functools import lru_cache

from headworks.config.check import check
from headworks.config.document import Document
from headworks.config.problems import ConfigError

_STRANGE = re.compile(r"\(\?(?!:|P?<[A-Za-z_]|i\)|i:)|\\[1-9gGkKRXQEzZAbB]|\[\[:|[*+?}]\+|\(\*")
"""Looking around, references, POSIX classes, possessive ones: they do not exist here, or are written otherwise."""
_GROUP = re.compile(r"(?<!\\)\(\?<(?=[A-Za-z_])")
_LONGEST = 2000


def named(pattern: str) -> str:
    """Write named groups as we do: ``(?P<name>``."""
    return _GROUP.sub("(?P<", pattern)


@lru_cache(maxsize=1024)
def is_ours(pattern: str) -> bool:
    """Whether our engine and Python both take an expression."""
    if not pattern or len(pattern) > _LONGEST or not pattern.isascii() or not pattern.isprintable():
        return False
    if _STRANGE.search(pattern):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
        check(Document.of(_smallest(pattern)))
    except (re.error, ConfigError, Warning, OverflowError, RecursionError, ValueError):
        return False
    return True


def _smallest(pattern: str) -> dict[str, object]:
    """Return a configuration whose one table has the expression."""
    return {
        "listeners": {"one": {"bind": "127.0.0.1:0", "protocol": "http", "table": "one"}},
        "tables": {"one": {f"~{pattern}": "one"}},
        "backends": {"one": {"servers": "127.0.0.1:1"}},
    }
