"""Snapshots: decisions as text in files beside the tests, compared, and written anew with ``--headworks-update``.

Must never write a file unless asked to: a snapshot that is not there fails, so that none comes to be unseen.
"""

import difflib
import sys
from pathlib import Path

from headworks.explanation import Explanation

is_updating = False
"""Whether files are written instead of compared: the plugin sets it."""


def matches_snapshot(decision: Explanation | str, path: str | Path) -> bool:
    """Compare a decision (``Explanation.text()``) with the file at ``path``, beside the module that calls.

    Returns True. Raises AssertionError with what differs; with ``pytest --headworks-update`` writes the file instead.
    """
    caller = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001  (whose module it is beside of)
    file = (Path(caller).absolute().parent if caller else Path.cwd()) / path
    text = decision if isinstance(decision, str) else decision.text()
    if is_updating:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        return True
    try:
        known = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AssertionError(f"there is no snapshot {file}: write it with pytest --headworks-update\n{text}") from None
    if known != text:
        lines = difflib.unified_diff(known.splitlines(), text.splitlines(), str(path), "now", lineterm="")
        shown = "\n".join(lines)
        raise AssertionError(f"not as in {file} (if it is right: pytest --headworks-update)\n{shown}")
    return True
