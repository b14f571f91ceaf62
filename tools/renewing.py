"""Renewing: what every tool does that writes a part of a file from the models, or checks that it is up to date.

Must never know what is written.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def run(told: str | None, renewed: Callable[[str], str]) -> int:
    """Write or check the file that the command line names; 1 when it is not up to date. ``told`` is for its help."""
    arguments = argparse.ArgumentParser(description=told)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--check", action="store_true")
    asked = arguments.parse_args()
    before = asked.file.read_text()
    after = renewed(before)
    if before == after:
        return 0
    if asked.check:
        print(f"{asked.file} is not up to date: make docs", file=sys.stderr)
        return 1
    asked.file.write_text(after)
    return 0


def below(marker: str, text: str) -> str:
    """Return the text up to and with its line ``marker``; what follows is written anew."""
    kept, found, _ = text.partition(marker)
    if not found:
        raise SystemExit(f"the file lacks the line {marker}")
    return kept + marker
