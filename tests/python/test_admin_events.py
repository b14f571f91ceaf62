"""Events for readers at the moment when there will be no more."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from headworks.admin.answers import NoticeRow
from headworks.admin.events import Events
from headworks.admin.refusal import Refusal


class Told:
    """What is told of a proxy, by hand."""

    def __init__(self) -> None:
        self.rows = [self.row(1)]
        self.proxy = SimpleNamespace(remember=lambda _tell: lambda: None)

    @staticmethod
    def row(number: int) -> NoticeRow:
        return NoticeRow(number=number, at=0.0, kind="admin_changed", level="info", facts={})

    def notices(self, after: int = 0) -> tuple[NoticeRow, ...]:
        return tuple(row for row in self.rows if row.number > after)


@pytest.mark.parametrize("after", [None, 1])
def test_what_was_told_last_reaches_readers_and_then_they_are_let_go(after: int | None) -> None:
    async def read() -> list[bytes]:
        told: Any = Told()
        events = Events(told)
        reading = events.open(after)
        told.rows.append(told.row(2))
        events.end()
        events.end()
        with pytest.raises(Refusal):
            events.open(None)
        return [event async for event in reading]

    first, *rest = asyncio.run(read())
    assert first.startswith(b"retry: ")
    assert [event.split(b"\n")[0] for event in rest] == [b"id: 2"]
