"""Loop: the one event loop, in a thread of its own, that runs every analyzer with coroutines.

Owns the tasks that do so. A question does not get a task of its own: a few tasks take one question after the other, and
another one takes over while an answer waits for something. So an answer that waits for nothing costs no turn of the
loop, and ``asyncio.current_task()`` is a task all along, as libraries expect. Must never run anything of the user's
outside of a task.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from time import perf_counter
from types import coroutine
from typing import TYPE_CHECKING, Any

from headworks.analyzers.asking import Asking, let_go
from headworks.analyzers.verdicts import encode

if TYPE_CHECKING:
    from headworks._engine import Question, Questions
    from headworks.analyzers.verdicts import Encoded

_BATCH = 64
"""Questions taken, and answers given, in one go."""
_GLANCE = 0.005
"""Seconds after which is looked again, while as many wait as may."""
_SPARES = 16
"""Tasks that wait for questions; more end."""


class Loop:
    """An event loop in a thread of its own, called ``name``. ``uvloop`` is used where it is installed."""

    def __init__(self, name: str = "analyzers") -> None:
        self.loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any], timeout: float) -> Any:
        """Run a coroutine there and wait for it. Raises what it raises, TimeoutError after ``timeout`` seconds."""
        future = asyncio.run_coroutine_threadsafe(_contained(work), self.loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    def call(self, what: Callable[[], None]) -> None:
        """Have something called there."""
        self.loop.call_soon_threadsafe(what)

    def close(self) -> None:
        """End it; what still runs there is cancelled."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._end)
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _end(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        # Once more around, so that they see it.
        self.loop.call_soon(self.loop.stop)


class Coroutines:
    """The tasks of one analyzer; they end when its questions do. ``ended`` is called then, in the loop."""

    def __init__(self, asking: Asking, questions: "Questions", waiting: int, ended: Callable[[], None]) -> None:
        self._asking = asking
        self._questions = questions
        self._most = waiting
        self._ended = ended
        self._come: deque[Question] = deque()
        self._answers: list[tuple[Question, Encoded | None]] = []
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # Tasks whose answers wait for something outside, by the number of their question.
        self._waiting: dict[int, asyncio.Task[Any]] = {}
        self._cancelled: set[int] = set()
        self._is_over = False
        self._busy = 0.0

    def start(self) -> None:
        """Begin to answer; called in the loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._questions.fileno(), self._pull)
        self._pull()

    def _pull(self) -> None:
        """Take what has come, but no more than may wait."""
        room = max(0, min(_BATCH, self._most - len(self._waiting) - len(self._come)))
        pulled = self._questions.pull(room, 0.0)
        if pulled is None:
            self._finish()
            return
        questions, cancelled, over = pulled
        for number in cancelled:
            if task := self._waiting.get(number):
                self._cancelled.add(number)
                task.cancel()
        self._drop(cancelled)
        self._come.extend(questions)
        self._asking.states.forget(over)
        if room == 0:
            # Questions that wait would ring all the time.
            self._loop.remove_reader(self._questions.fileno())
            self._loop.call_later(_GLANCE, self._look_again)
        if self._come:
            self._wake()

    def _drop(self, cancelled: list[int]) -> None:
        """Ask nobody what was taken and not begun when its client left: it would wait until its end, for nobody."""
        if cancelled and self._come:
            gone = set(cancelled)
            self._answers += ((question, None) for question in self._come if question.ticket in gone)
            self._come = deque(question for question in self._come if question.ticket not in gone)
            self._give()

    def _look_again(self) -> None:
        if not self._is_over:
            self._loop.add_reader(self._questions.fileno(), self._pull)
            self._pull()

    def _finish(self) -> None:
        self._loop.remove_reader(self._questions.fileno())
        self._is_over = True
        while self._idle:
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)
        if not self._tasks:
            self._ended()

    def _wake(self) -> None:
        """Have somebody take the questions that wait."""
        while self._idle:
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)
                return
        task = self._loop.create_task(self._work())
        self._tasks.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if self._is_over and not self._tasks:
            self._ended()

    async def _work(self) -> None:
        """Answer one question after the other."""
        task = asyncio.current_task()
        while True:
            while self._come:
                question = self._come.popleft()
                answer = await self._ask(question, task)
                # Only now: the list is another one, if answers were given meanwhile.
                self._answers.append((question, answer))
                if len(self._answers) >= _BATCH:
                    self._give()
            self._give()
            if self._is_over or len(self._idle) >= _SPARES:
                return
            future: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(future)
            await future

    def _give(self) -> None:
        """Give the answers that there are."""
        if self._answers:
            answers, self._answers = self._answers, []
            busy, self._busy = self._busy, 0.0
            self._asking.give(self._questions, answers, busy)

    async def _ask(self, question: "Question", task: "asyncio.Task[Any] | None") -> "Encoded | None":
        begun = perf_counter()
        hook = question.hook
        try:
            method, given, view = self._asking.prepare(question, hook)
            # Variables that it sets are this question's alone: the task goes on to others.
            own = copy_context()
            try:
                answer = own.run(method, *given)
                if asyncio.iscoroutine(answer):
                    # Most wait for nothing: they are over by this.
                    try:
                        awaited = own.run(answer.send, None)
                    except StopIteration as done:
                        answer = done.value
                    else:
                        self._busy += perf_counter() - begun
                        try:
                            answer = await self._watched(answer, awaited, question, own)
                        finally:
                            begun = perf_counter()
                return None if answer is None else encode(answer, hook)
            finally:
                if view is not None:
                    let_go(view)
        except asyncio.CancelledError as error:
            if question.ticket not in self._cancelled:
                # The loop is being closed, or the user's code cancels itself.
                return self._asking.failed(error, hook)
            # The client is gone, or its deadline has passed: nobody waits for the answer.
            return None
        except BaseException as error:  # noqa: BLE001  (whatever it is: exits and interrupts of user code too)
            return self._asking.failed(error, hook)
        finally:
            self._busy += perf_counter() - begun
            if self._cancelled:
                self._cancelled.discard(question.ticket)
            # Whether it heeded that or not: the task goes on to others.
            if task is not None and task.cancelling():
                await _absolved(task)

    @coroutine
    def _watched(
        self, answer: Coroutine[Any, Any, Any], awaited: Any, question: "Question", own: Context
    ) -> Generator[Any, Any, Any]:
        """Await an answer that waits for something, ``awaited``; another task takes the other questions meanwhile."""
        task = asyncio.current_task()
        if task is not None:
            self._waiting[question.ticket] = task
        self._give()
        if self._come:
            self._wake()
        try:
            while True:
                failure = None
                try:
                    value = yield awaited
                except BaseException as error:  # noqa: BLE001  (it is the coroutine's)
                    failure = error
                begun = perf_counter()
                try:
                    awaited = own.run(answer.send, value) if failure is None else own.run(answer.throw, failure)
                except StopIteration as done:
                    return done.value
                finally:
                    self._busy += perf_counter() - begun
        finally:
            self._waiting.pop(question.ticket, None)


async def _absolved(task: "asyncio.Task[Any]") -> None:
    """Take back that a task was cancelled, even if it has not met it yet."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    while task.cancelling():
        task.uncancel()


class ExitedError(Exception):
    """User code that wanted to end the process."""


async def _contained(work: Coroutine[Any, Any, Any]) -> Any:
    """Await it; exits and interrupts must not end the loop, which is everybody's."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise ExitedError(f"{type(error).__name__}: {error}") from error


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
