"""Access records as they are read: text and JSON say the same."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rig.waiting import until

Record = dict[str, Any]
Records = Callable[[int], list[Record]]

_NUMBERS = {"status", "bytes_in", "bytes_out", "wait_ms", "connect_ms", "total_ms", "retries", "handshake_ms"}


def _of_text(line: str) -> Record:
    pairs = re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)', line)
    assert " ".join(f"{key}={value}" for key, value in pairs) == line
    values = {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}
    return {key: int(value) if key in _NUMBERS else value for key, value in values.items()}


def records_of(file: Path, form: str) -> Records:
    """Wait for so many records in a file, and read them."""

    def records(count: int) -> list[Record]:
        until(lambda: file.exists() and file.read_text().count("\n") >= count, f"{count} records are written")
        lines = file.read_text().splitlines()
        assert len(lines) == count, lines
        return [json.loads(line) if form == "json" else _of_text(line) for line in lines]

    return records
