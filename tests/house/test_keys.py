"""A plain key is declared twice: once as a field of a model, once as a field of the Spec. Nothing copies it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "python/headworks/config/models"
CORE = ROOT / "crates/core/src"

PLAIN = (
    "abort_on_close",
    "accept_pause",
    "backlog",
    "connect_timeout",
    "first_bytes_limit",
    "half_close",
    "interim_limit",
    "interim_timeout",
    "ipv6_only",
    "linger",
    "maintenance",
    "max_hops",
    "max_pipes",
    "min_body_rate",
    "pipe_size",
    "queue_limit",
    "queue_timeout",
    "requests_per_connection",
    "reserved_descriptors",
    "response_timeout",
    "retries",
    "rewrite_reserve",
    "slow_start",
    "unix_mode",
)
"""Keys that are read from the Spec as they are, some of each table that has such keys."""


def declared(directory: Path, suffix: str, pattern: str) -> Iterator[Path]:
    for file in sorted(directory.rglob(f"*{suffix}")):
        code = file.read_text().split("#[cfg(test)]")[0]
        yield from [file] * len(re.findall(pattern, code, re.MULTILINE))


def fields(key: str) -> list[Path]:
    """Find the fields of structs in core that are called ``key``, in the Spec and elsewhere."""
    return list(declared(CORE, ".rs", rf"^    (?:pub(?:\([a-z]+\))? )?{key}: [^=\n]*,$"))


@pytest.mark.parametrize("key", PLAIN)
def test_a_plain_key_is_one_field_of_a_model_and_one_of_the_spec(key: str) -> None:
    assert len(list(declared(MODELS, ".py", rf"^    {key}: Annotated\["))) == 1
    found = fields(key)
    assert [file.parent for file in found] == [CORE / "spec"], f"{key} is copied: {found}"


def test_copies_would_be_found() -> None:
    assert [file.name for file in fields("buckets")] == ["limits.rs"] * 2
