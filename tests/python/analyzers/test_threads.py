"""Threads: whatever an analyzer of plain methods does, every question gets an answer and the threads go on."""

# ruff: noqa: C901, N818  (analyzers of tests do what a path says, and need not look at all that they are given)

import asyncio
import contextvars
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import headworks
from headworks.analyzers.asking import Asking
from headworks.analyzers.threads import BATCH, TOGETHER, Threads
from rig.questions import Desk, Question, asking, is_failed
from rig.waiting import until


class Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError("never")


class Unshown(headworks.Verdict):
    def __repr__(self) -> str:
        raise RuntimeError("never")


def deep(number: int) -> int:
    return deep(number + 1)


def raises(name: str) -> None:
    match name:
        case "/recursion":
            deep(0)
        case "/exit":
            sys.exit(3)
        case "/interrupt":
            raise KeyboardInterrupt
        case "/memory":
            raise MemoryError
        case "/huge":
            bytearray(1 << 60)
        case "/cancelled":
            raise asyncio.CancelledError
        case "/stop":
            raise StopIteration(1)
        case "/generator-exit":
            raise GeneratorExit
        case "/group":
            raise BaseExceptionGroup("two", [SystemExit(), ValueError("x")])
        case "/untold":
            raise Untold
        case "/key":
            raise KeyError


RAISES = [
    "/recursion",
    "/exit",
    "/interrupt",
    "/memory",
    "/huge",
    "/cancelled",
    "/stop",
    "/generator-exit",
    "/group",
    "/untold",
    "/key",
]
SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("SEEN", default="")


class Plain(headworks.Analyzer):
    def __init__(self) -> None:
        self.kept: list[memoryview] = []
        self.gate = threading.Event()
        self.inside = 0

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        path = exchange.request.path
        raises(path)
        match path:
            case "/nonsense":
                return "nonsense"  # type: ignore[return-value]
            case "/unshown":
                return Unshown((5,))  # type: ignore[arg-type]
            case "/surrogate":
                return headworks.route("\udcff")
            case "/gate":
                self.inside += 1
                self.gate.wait()
            case "/set":
                SEEN.set("before")
            case "/seen":
                return headworks.log(seen=SEEN.get())
            case "/mutate":
                exchange.request.path = "/"
        return None

    def first_bytes(self, connection: Any, held: memoryview) -> headworks.Verdict | None:
        if bytes(held[:1]) == b"k":
            self.kept.append(held)
        if bytes(held[:1]) == b"e":
            self.kept.append(memoryview(bytearray(b"")))
            self.exported = memoryview(held)
            self.iterator = iter(held)
        if bytes(held[:1]) == b"w":
            held[0] = 0
        return None


class Running:
    """An analyzer that threads run; ``over`` is set when the last of them has ended."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.analyzer = Plain()
        self.over = threading.Event()
        self.ends = 0
        self.asking: Asking = asking(self.analyzer)

    def start(self, concurrency: int = 1) -> None:
        Threads(self.asking, self.desk, concurrency, self._end).start()  # type: ignore[arg-type]

    def _end(self) -> None:
        self.ends += 1
        self.over.set()


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.analyzer.gate.set()
    made.desk.close()
    assert made.over.wait(10)
    assert made.ends == 1


def ask(running: Running, *paths: str) -> list[object]:
    questions = [Question("request", ticket, path=path) for ticket, path in enumerate(paths)]
    running.desk.put(*questions)
    return running.desk.answered(*range(len(paths)))


@pytest.mark.parametrize("path", RAISES)
def test_whatever_is_raised_the_next_question_is_answered(path: str, running: Running) -> None:
    running.start()
    failed, fine = ask(running, path, "/fine")
    assert is_failed(failed)
    assert fine is None


def test_what_cannot_be_said_fails_alone_and_not_its_batch(running: Running) -> None:
    """A client's byte in the name of a backend must neither end the thread nor fail those beside it."""
    paths = ["/fine", "/surrogate", "/fine", "/nonsense", "/unshown", "/mutate", "/fine"]
    running.desk.put(*(Question("request", ticket, path=path) for ticket, path in enumerate(paths)))
    running.start()
    answers = running.desk.answered(*range(len(paths)))
    assert [answers[0], answers[2], answers[6]] == [None] * 3
    assert is_failed(answers[1], "verdict")
    assert "cannot be said" in answers[1][0][2]
    assert is_failed(answers[3], "verdict")
    assert answers[4][0][0] == "failed"
    assert is_failed(answers[5])


def test_questions_are_taken_in_batches_and_answered_together(running: Running) -> None:
    count = 3 * BATCH
    running.desk.put(*(Question("request", ticket, path="/fine") for ticket in range(count)))
    running.start()
    running.desk.answered(*range(count))
    # One at first, and more each time as long as they are answered quickly.
    assert running.desk.pulled[0] == 1
    assert max(running.desk.pulled) <= BATCH
    assert sum(running.desk.batches) == count
    assert max(running.desk.batches) <= TOGETHER


def is_inside(analyzer: Any, count: int) -> bool:
    """Whether so many are at work."""
    return bool(analyzer.inside == count)


def test_several_threads_run_at_once(running: Running) -> None:
    running.start(4)
    for ticket in range(4):
        running.desk.put(Question("request", ticket, path="/gate"))
        until(partial(is_inside, running.analyzer, ticket + 1))
    assert running.desk.answers == {}
    running.analyzer.gate.set()
    assert running.desk.answered(*range(4)) == [None] * 4


def test_bytes_end_with_the_call(running: Running) -> None:
    running.start()
    running.desk.put(Question("first_bytes", 0, chunk=b"keep"), Question("first_bytes", 1, chunk=b"write"))
    kept, written = running.desk.answered(0, 1)
    assert kept is None
    assert is_failed(written)
    assert "read-only" in written[0][2]
    with pytest.raises(ValueError, match="released"):
        running.analyzer.kept[0][0]


def test_bytes_that_somebody_still_holds_are_no_failure(running: Running) -> None:
    running.start()
    running.desk.put(Question("first_bytes", 0, chunk=b"export"), Question("first_bytes", 1, chunk=b"fine"))
    assert running.desk.answered(0, 1) == [None, None]
    assert bytes(running.analyzer.exported) == b"export"


def test_variables_of_a_question_are_not_those_of_the_next(running: Running) -> None:
    running.start()
    assert ask(running, "/set", "/seen") == [None, (("log", (("seen", ""),)),)]


def test_states_are_forgotten_when_connections_end(running: Running) -> None:
    states = running.asking.states
    states.of(1000).user = "ann"
    running.start()
    running.desk.forget(1000)
    until(lambda: len(states) == 0)


def test_failures_are_told_once_a_minute_for_each_kind(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.start()
    ask(running, "/exit", "/exit", "/memory", "/nonsense", "/nonsense", "/untold", "/fine")
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "analyzer it: request failed",
        "analyzer it: request failed",
        "analyzer it: request answered 'nonsense', which is neither a verdict nor None",
        "analyzer it: request failed",
    ]
    shown = caplog.records[0].exc_text or caplog.text
    assert "test_threads.py" in shown
    assert "asking.py" not in shown
