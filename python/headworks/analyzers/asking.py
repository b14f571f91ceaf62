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
    from headworks._engine import Question
    from headworks.analyzers.base import Analyzer

LOG = logging.getLogger("headworks.analyzers")
_QUIET = 60.0
"""Seconds in which a failure of one kind is told once."""
_MOST_KINDS = 1000
_OURS = str(Path(__file__).parent)

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

    def prepare(self, question: "Question") -> Prepared:
        """Return what is to be called for a question."""
        hook = question.hook
        method = getattr(self.analyzer, hook)
        if question.exchange:
            exchange = Exchange(question, self.states)
            if hook in ("request", "response"):
                return method, (exchange,), None
            chunk = memoryview(question.chunk)
            return method, (exchange, chunk), chunk
        connection = Connection(question, self.states)
        if hook == "first_bytes":
            held = memoryview(question.chunk)
            return method, (connection, held), held
        return method, ((connection, HelloView(question)) if hook == "hello" else (connection,)), None

    def ask(self, question: "Question") -> Encoded | None:
        """Call a plain method. Never raises."""
        try:
            method, given, view = self.prepare(question)
            try:
                # What one question leaves in context variables is not for the next.
                return encode(copy_context().run(method, *given), question.hook)
            finally:
                end(view)
        except BaseException as error:  # noqa: BLE001  (whatever it is: exits and interrupts of user code too)
            return self.failed(error, question.hook)

    def failed(self, error: BaseException, hook: str) -> Encoded:
        """Return the answer of one that has failed, and tell of it."""
        kind = "verdict" if isinstance(error, WrongVerdictError) else "raised"
        said = type(error).__name__
        # Its text is the user's code, too.
        with contextlib.suppress(BaseException):
            said = str(error) if kind == "verdict" else f"{said}: {error}"
        # Telling of a failure must not make another: memory may be short.
        with contextlib.suppress(BaseException):
            self._tell(error, hook, said)
        return (("failed", kind, said),)

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


def end(view: memoryview | None) -> None:
    """End a view, so that whoever keeps it is told. One that something else looks through stays: it is a copy."""
    if view is not None:
        with contextlib.suppress(BufferError):
            view.release()


def _theirs(error: BaseException) -> TracebackType | None:
    """Return the traceback from where the user's code begins."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS) and trace.tb_next is not None:
        trace = trace.tb_next
    return trace
