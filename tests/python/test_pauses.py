"""Pauses in accepting: what is written of them, and what is held back."""

from queue import SimpleQueue

from headworks import Notice
from headworks.pauses import Pauses


def paused(worker: int) -> Notice:
    return Notice(kind="accept_paused", facts={"worker": worker, "connections": 9, "reason": "no descriptors"})


def resumed(worker: int) -> Notice:
    return Notice(kind="accept_resumed", facts={"worker": worker})


def test_a_pause_names_the_limit_and_the_remedy():
    written: SimpleQueue[Notice] = SimpleQueue()
    Pauses(written.put).take(paused(0))
    facts = written.get(timeout=5).facts
    assert facts["worker"] == 0
    assert isinstance(facts["limit"], int)
    assert "LimitNOFILE" in str(facts["remedy"])
    assert "left_out" not in facts


def test_of_many_lines_the_last_is_written():
    written: SimpleQueue[Notice] = SimpleQueue()
    pauses = Pauses(written.put, interval=0.2)
    for _ in range(50):
        pauses.take(paused(0))
        pauses.take(resumed(0))
    first, end, last = (written.get(timeout=5) for _ in range(3))
    assert (first.kind, end.kind, last.kind) == ("accept_paused", "accept_resumed", "accept_resumed")
    assert "left_out" not in end.facts
    assert last.facts["left_out"] == 97
    assert written.empty()


def test_one_worker_that_goes_on_does_not_hide_another_that_is_paused():
    written: SimpleQueue[Notice] = SimpleQueue()
    pauses = Pauses(written.put, interval=0.2)
    for notice in (paused(0), resumed(0), paused(0), paused(1), resumed(0)):
        pauses.take(notice)
    told = [written.get(timeout=5) for _ in range(3)]
    assert [one.kind for one in told] == ["accept_paused", "accept_resumed", "accept_paused"]
    assert told[-1].facts["worker"] == 1
