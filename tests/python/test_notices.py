"""Notices: one pump, many subscribers, none of whom makes anybody wait."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import cast

import pytest

from headworks import Notice, _engine
from headworks.notices import MOST, Notices

LIMIT = 10


class Engine:
    """What the pump takes from: texts put in by the test, None once it is stopped."""

    def __init__(self) -> None:
        self.texts: SimpleQueue[str | None] = SimpleQueue()

    def next_notice(self, timeout: float) -> str | None:
        return self.texts.get(timeout=timeout)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def notices(engine: Engine) -> Iterator[Notices]:
    hub = Notices(cast(_engine.Engine, engine))
    yield hub
    hub.close()
    engine.texts.put(None)


def numbered(number: int) -> Notice:
    return Notice(kind="server_up", facts={"number": number})


def numbers(found: list[Notice]) -> list[object]:
    return [notice.facts["number"] for notice in found]


def test_everybody_gets_everything(notices, engine):
    one, two = notices.subscribe(), notices.subscribe()
    notices.put(numbered(1))
    engine.texts.put('{"kind": "server_up", "number": 2}')
    assert numbers([next(one), next(one)]) == [1, 2]
    assert numbers([next(two), next(two)]) == [1, 2]


def test_threads_that_wait_are_woken_by_notices_of_our_own(notices):
    found: SimpleQueue[Notice] = SimpleQueue()
    subscriptions = [notices.subscribe() for _ in range(3)]
    threads = [threading.Thread(target=lambda one=one: found.put(next(one)), daemon=True) for one in subscriptions]
    for thread in threads:
        thread.start()
    notices.put(numbered(7))
    assert numbers([found.get(timeout=LIMIT) for _ in threads]) == [7, 7, 7]


def test_what_nobody_heard_waits_for_the_next_who_asks(notices):
    notices.put(numbered(1))
    notices.put(numbered(2))
    assert numbers([next(notices.subscribe())]) == [1]
    notices.put(numbered(3))
    after = notices.subscribe()
    assert numbers([next(after), next(after)]) == [2, 3]


def test_who_comes_second_gets_what_comes_from_then_on(notices):
    first = notices.subscribe()
    notices.put(numbered(1))
    second = notices.subscribe()
    notices.put(numbered(2))
    assert numbers([next(first), next(first)]) == [1, 2]
    assert numbers([next(second)]) == [2]


def test_a_subscriber_that_does_not_keep_up_is_told_how_many_it_has_lost(notices):
    slow, quick = notices.subscribe(), notices.subscribe()
    for number in range(MOST + 3):
        notices.put(numbered(number))
        assert numbers([next(quick)]) == [number]
    told = next(slow)
    assert (told.kind, told.level, told.facts) == ("notices_dropped", "warning", {"dropped": 3})
    assert numbers([next(slow) for _ in range(MOST)]) == list(range(3, MOST + 3))


def test_who_has_left_gets_nothing(notices):
    gone, here = notices.subscribe(), notices.subscribe()
    gone.close()
    notices.put(numbered(1))
    assert numbers([next(here)]) == [1]


def test_all_are_let_go_when_it_is_closed(notices):
    ended: SimpleQueue[list[Notice]] = SimpleQueue()
    subscriptions = [notices.subscribe() for _ in range(3)]
    notices.put(numbered(1))
    for one in subscriptions:
        threading.Thread(target=lambda one=one: ended.put(list(one)), daemon=True).start()
    notices.close()
    assert [numbers(ended.get(timeout=LIMIT)) for _ in subscriptions] == [[1], [1], [1]]
    assert list(notices.subscribe()) == []
