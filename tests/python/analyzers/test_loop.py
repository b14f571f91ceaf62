"""Coroutines: one loop for all; whatever one does to its task or to the loop, the others are answered."""

# ruff: noqa: C901, PLR0911, PLR0912  (analyzers of tests do what a path says, and need not look at all that they are given)

import asyncio
import contextvars
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import headworks
from headworks.analyzers.loop import Coroutines, ExitedError, Loop
from rig.questions import Desk, Question, asking, is_failed
from rig.waiting import until

USER: contextvars.ContextVar[str] = contextvars.ContextVar("USER", default="")


def deep(number: int) -> int:
    return deep(number + 1)


async def raises(name: str) -> None:
    match name:
        case "/recursion":
            deep(0)
        case "/exit":
            sys.exit(3)
        case "/interrupt":
            raise KeyboardInterrupt
        case "/memory":
            raise MemoryError
        case "/cancelled":
            raise asyncio.CancelledError
        case "/stop":
            raise StopAsyncIteration
        case "/cancels-itself":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(10)
        case "/cancelled-child":
            child = asyncio.create_task(asyncio.sleep(10))
            child.cancel()
            await child
        case "/group":
            async with asyncio.TaskGroup() as group:
                group.create_task(deny())
        case "/timeout":
            async with asyncio.timeout(0.001):
                await asyncio.sleep(10)


async def deny() -> None:
    raise PermissionError


RAISES = [
    "/recursion",
    "/exit",
    "/interrupt",
    "/memory",
    "/cancelled",
    "/stop",
    "/cancels-itself",
    "/cancelled-child",
    "/group",
    "/timeout",
]


class Async(headworks.Analyzer):
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[str] = []
        self.kept: memoryview | None = None
        self.inside = 0

    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        path = exchange.request.path
        if path.startswith("/after"):
            await asyncio.sleep(0)
            path = path.removeprefix("/after")
        await raises(path)
        match path:
            case "/nonsense":
                return 5  # type: ignore[return-value]
            case "/surrogate":
                return headworks.route("\udcff")
            case "/gate":
                self.inside += 1
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.seen.append("cancelled")
                    raise
            case "/deaf":
                self.inside += 1
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.seen.append("deaf")
            case "/cancel-and-return":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            case "/sleep":
                async with asyncio.timeout(10):
                    await asyncio.sleep(0.001)
            case "/groups":
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(0))
            case "/short":
                try:
                    async with asyncio.timeout(0.001):
                        await self.gate.wait()
                except TimeoutError:
                    return headworks.log(timeout=True)
            case "/set":
                USER.set("ann")
                await asyncio.sleep(0)
                return headworks.log(user=USER.get())
            case "/seen":
                return headworks.log(user=USER.get())
            case "/task":
                return headworks.log(
                    task=asyncio.current_task() is not None, loop=asyncio.get_running_loop() is not None
                )
        return None

    async def first_bytes(self, connection: Any, held: memoryview) -> headworks.Verdict | None:
        self.kept = held
        await asyncio.sleep(0)
        return headworks.log(first=held[0])

    def accepted(self, connection: Any) -> headworks.Verdict | None:
        return headworks.reject("plain")


class Running:
    def __init__(self) -> None:
        self.desk = Desk()
        self.loop = Loop()
        self.analyzer = Async()
        self.over = threading.Event()
        self.coroutines: Coroutines

    def start(self, waiting: int = 100) -> None:
        self.coroutines = Coroutines(asking(self.analyzer), self.desk, waiting, self.over.set)  # type: ignore[arg-type]
        self.loop.call(self.coroutines.start)

    def open(self) -> None:
        self.loop.call(self.analyzer.gate.set)

    def ask(self, *paths: str) -> list[object]:
        self.desk.put(*(Question("request", ticket, path=path) for ticket, path in enumerate(paths)))
        return self.desk.answered(*range(len(paths)))


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.open()
    made.desk.close()
    assert made.over.wait(10)
    made.loop.close()


@pytest.mark.parametrize("before", ["", "/after"])
@pytest.mark.parametrize("path", RAISES)
def test_whatever_is_raised_the_next_questions_are_answered(path: str, before: str, running: Running) -> None:
    running.start()
    answers = running.ask(before + path, "/fine", "/sleep", "/groups")
    assert is_failed(answers[0])
    assert answers[1:] == [None] * 3


def test_what_cannot_be_said_fails_alone(running: Running) -> None:
    running.start()
    answers = running.ask("/fine", "/surrogate", "/nonsense", "/fine")
    assert [answers[0], answers[3]] == [None, None]
    assert is_failed(answers[1], "verdict")
    assert is_failed(answers[2], "verdict")


def test_a_task_that_was_cancelled_by_its_user_code_does_not_cancel_the_next_question(running: Running) -> None:
    running.start()
    assert running.ask("/cancel-and-return", "/sleep", "/groups", "/sleep") == [None] * 4


def test_an_answer_that_waits_holds_up_nobody(running: Running) -> None:
    running.start()
    running.desk.put(*(Question("request", ticket, path="/gate") for ticket in range(20)))
    running.desk.put(Question("request", 20, path="/fine"))
    running.desk.answered(20)
    assert list(running.desk.answers) == [20]
    running.open()
    assert running.desk.answered(*range(20)) == [None] * 20


def test_no_more_wait_than_may(running: Running) -> None:
    running.start(waiting=3)
    running.desk.put(*(Question("request", ticket, path="/gate") for ticket in range(9)))
    until(lambda: running.analyzer.inside == 3)
    assert sum(running.desk.pulled) <= 4
    running.open()
    assert running.desk.answered(*range(9)) == [None] * 9


def test_one_whose_client_is_gone_is_cancelled_and_its_task_goes_on(running: Running) -> None:
    running.start()
    running.desk.put(Question("request", 0, path="/gate"), Question("request", 1, path="/deaf"))
    until(lambda: running.analyzer.inside == 2)
    running.desk.cancel(0, 1, 77)
    running.desk.answered(0, 1)
    assert sorted(running.analyzer.seen) == ["cancelled", "deaf"]
    running.desk.put(*(Question("request", ticket, path="/groups") for ticket in range(2, 8)))
    running.desk.put(*(Question("request", ticket, path="/short") for ticket in range(8, 12)))
    assert running.desk.answered(*range(2, 8)) == [None] * 6
    assert running.desk.answered(*range(8, 12)) == [(("log", (("timeout", "True"),)),)] * 4


def test_cancelled_when_as_many_wait_as_may(running: Running) -> None:
    running.start(waiting=1)
    running.desk.put(Question("request", 0, path="/gate"), Question("request", 1, path="/fine"))
    until(lambda: running.analyzer.inside == 1)
    running.desk.cancel(0)
    assert running.desk.answered(0, 1) == [None, None]
    assert running.analyzer.seen == ["cancelled"]


def test_what_was_taken_and_not_begun_is_not_asked_once_its_client_is_gone(running: Running) -> None:
    running.start()

    def take_and_leave() -> None:
        running.desk.put(Question("request", 0, path="/gate"), Question("request", 1, path="/fine"))
        running.coroutines._pull()
        running.desk.cancel(0)
        running.coroutines._pull()

    running.loop.call(take_and_leave)
    assert running.desk.answered(0, 1) == [None, None]
    assert running.analyzer.inside == 0


def test_libraries_find_a_task_a_loop_and_timeouts(running: Running) -> None:
    running.start()
    answers = running.ask("/task", "/after/task", "/short")
    assert answers[:2] == [(("log", (("task", "True"), ("loop", "True"))),)] * 2
    assert answers[2] == (("log", (("timeout", "True"),)),)


def test_variables_of_a_question_are_not_those_of_the_next(running: Running) -> None:
    running.start()
    answers = running.ask("/set", "/seen", "/after/seen", "/set", "/seen")
    assert answers == [(("log", (("user", user),)),) for user in ("ann", "", "", "ann", "")]


def test_bytes_last_over_an_await_and_end_with_the_answer(running: Running) -> None:
    running.start()
    running.desk.put(Question("first_bytes", 0, chunk=b"a"), Question("accepted", 1))
    assert running.desk.answered(0, 1) == [(("log", (("first", "97"),)),), (("reject", "plain"),)]
    assert running.analyzer.kept is not None
    with pytest.raises(ValueError, match="released"):
        running.analyzer.kept[0]


def test_thousands_are_answered_by_few_tasks(running: Running) -> None:
    running.start(waiting=10_000)
    running.desk.put(*(Question("request", ticket, path="/sleep") for ticket in range(2000)))
    assert running.desk.answered(*range(2000)) == [None] * 2000
    tasks = running.loop.run(_count(), 10)
    assert tasks <= 20


async def _count() -> int:
    return len(asyncio.all_tasks())


def test_those_that_wait_are_answered_after_the_end_of_questions(running: Running) -> None:
    running.start()
    running.desk.put(Question("request", 0, path="/gate"))
    until(lambda: running.analyzer.inside == 1)
    running.desk.close()
    assert not running.over.is_set()
    running.open()
    assert running.desk.answered(0) == [None]
    assert running.over.wait(10)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_a_coroutine_does_not_end_the_loop(error: type[BaseException]) -> None:
    loop = Loop()

    async def leave() -> None:
        raise error(3)

    with pytest.raises(ExitedError, match=error.__name__):
        loop.run(leave(), 10)
    assert loop.run(_count(), 10) == 1
    loop.close()
    loop.close()
