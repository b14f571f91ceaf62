"""Waiting for conditions. A deadline only ends a test that has failed; it never decides what is right."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds until a condition is taken never to come true: far more than a busy machine needs."""


def until(condition: Callable[[], T | None], what: str = "", patience: float = PATIENCE) -> T:
    """Call ``condition`` until it gives something true, and return that."""
    deadline = time.monotonic() + patience
    pause = 0.001
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"in {patience} s this never came true: {what or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
