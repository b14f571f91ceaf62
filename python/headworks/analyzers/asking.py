"""Asking: one question to one analyzer: which method it is for, and what becomes of whatever happens there.

Owns the way from a question to an answer, and telling of failures, each kind once a minute. Must never let an
exception of the user's code out: whatever it is, the question gets an answer.
"""

import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headworks.analyzers.connection import Connection
from headworks.analyzers.exchange import Exchange
from headworks.analyzers.states import States
from headworks.analyzers.verdicts import Encoded, WrongVerdictError, encode
from headworks.analyzers.views import HelloView

if TYPE_CHECKING:
    from headworks._engine import Question, Questions
    from headworks.analyzers.base import Analyzer

LOG = logging.getLogger("headworks.analyzers")
_QUIET = 60.0
"""Seconds in which a failure of one kind is told once."""
_MOST_KINDS = 1000
_OURS = str(Path(__file__).parent)
_HEADS = ("request", "response")
_BODIES = ("request_body", "response_body")

Prepared = tuple[Callable[..., Any], tuple[Any, ...], memoryview | None]
"""A method, what it is called with, and the bytes that it may look at until it returns."""


class Asking:
    """The way from questions to the methods of one analyzer, and back."""

    def __init__(self, name: str, analyzer: "Analyzer", states: States) -> None:
        self.name = name
        self.analyzer = analyzer
        self.states = states
        self._told: dict[tuple[str, str, int], float] = {}
        self._telling = threading.Lock()

    def prepare(self, question: "Question", hook: str) -> Prepared:
        """Return what is to be called for a question at this moment."""
        method = getattr(self.analyzer, hook)
        if hook in _HEADS:
            return method, (Exchange(question, self.states),), None
        if hook in _BODIES:
            chunk = memoryview(question.chunk)
            return method, (Exchange(question, self.states), chunk), chunk
        connection = Connection(question, self.states)
        if hook == "first_bytes":
            held = memoryview(question.chunk)
            return method, (connection, held), held
        return method, ((connection, HelloView(question)) if hook == "hello" else (connection,)), None

    def ask(self, question: "Question") -> Encoded | None:
        """Call a plain method. Never raises."""
        hook = question.hook
        try:
            method, given, view = self.prepare(question, hook)
            try:
                # Variables that it sets are this question's alone, not those of the next one.
                verdict = copy_context().run(method, *given)
                return None if verdict is None else encode(verdict, hook)
            finally:
                if view is not None:
                    let_go(view)
        except BaseException as error:  # noqa: BLE001  (whatever it is: exits and interrupts of user code too)
            return self.failed(error, hook)

    def failed(self, error: BaseException, hook: str) -> Encoded:
        """Return the answer of one that has failed, and tell of it."""
        kind = "verdict" if isinstance(error, WrongVerdictError) else "raised"
        said = _said(error) if kind == "verdict" else f"{type(error).__name__}: {_said(error)}"
        # Telling of a failure must not make another: memory may be short.
        with contextlib.suppress(BaseException):
            self._tell(error, hook, said)
        return (("failed", kind, said),)

    def give(self, questions: "Questions", answers: "list[tuple[Question, Encoded | None]]", busy: float) -> None:
        """Give answers; one that the engine cannot take fails by itself, not those beside it."""
        try:
            questions.answer(answers, busy)
        except Exception:  # noqa: BLE001  (whichever it was: each is tried alone)
            for question, answer in answers:
                self._give_alone(questions, question, answer)

    def _give_alone(self, questions: "Questions", question: "Question", answer: "Encoded | None") -> None:
        try:
            questions.answer([(question, answer)], 0.0)
        except Exception as error:  # noqa: BLE001  (whatever is wrong with it)
            wrong = WrongVerdictError(f"{question.hook} answered what cannot be said: {_said(error)}")
            questions.answer([(question, self.failed(wrong, question.hook))], 0.0)

    def _tell(self, error: BaseException, hook: str, said: str) -> None:
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        kind = (hook, type(error).__name__, frames[-1].lineno or 0 if frames else 0)
        now = time.monotonic()
        with self._telling:
            if now - self._told.get(kind, -_QUIET) < _QUIET:
                return
            if len(self._told) >= _MOST_KINDS:
                self._told.clear()
            self._told[kind] = now
        if isinstance(error, WrongVerdictError):
            LOG.error("analyzer %s: %s", self.name, said)
        else:
            LOG.error("analyzer %s: %s failed", self.name, hook, exc_info=(type(error), error, _theirs(error)))


def let_go(view: memoryview) -> None:
    """Release the bytes that a method was shown. Where somebody keeps hold of them, they stay as they were."""
    with contextlib.suppress(BufferError):
        view.release()


def _said(error: BaseException) -> str:
    """Return what an exception says; user code makes those, too, and may fail at it."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  (whatever its __str__ does)
        return "(it cannot be told)"


def _theirs(error: BaseException) -> TracebackType | None:
    """Return the traceback from where the user's code begins."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS) and trace.tb_next is not None:
        trace = trace.tb_next
    return trace
