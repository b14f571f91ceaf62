"""States: what analyzers keep with a connection or an exchange, until it is over.

Owns the objects, which are made when they are first asked for. Must never grow without end: of more than
``MOST`` the oldest are forgotten.
"""

import contextlib
from collections.abc import Iterable
from types import SimpleNamespace

MOST = 1_000_000


class States:
    """State by the id of a connection or an exchange; shared by the analyzers of one proxy."""

    def __init__(self, most: int = MOST) -> None:
        self._known: dict[int, SimpleNamespace] = {}
        self._most = most

    def of(self, number: int) -> SimpleNamespace:
        """Return the state of a connection or exchange."""
        state = self._known.get(number)
        if state is None:
            # Several threads may ask: one of them wins.
            state = self._known.setdefault(number, SimpleNamespace())
            if len(self._known) > self._most:
                self._forget_oldest()
        return state

    def _forget_oldest(self) -> None:
        # Other threads may do the same meanwhile.
        with contextlib.suppress(RuntimeError, StopIteration):
            self._known.pop(next(iter(self._known)), None)

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget those that are over."""
        for number in numbers:
            self._known.pop(number, None)

    def __len__(self) -> int:
        return len(self._known)
