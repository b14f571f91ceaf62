"""Doubles of what the engine gives to runners: questions of attributes written down, and a desk that hands them out."""

import contextlib
import os
import threading
from typing import Any

import headworks
from headworks.analyzers.asking import Asking
from headworks.analyzers.states import States

PATIENCE = 10.0


class Question:
    """A question; it counts what was read of it."""

    def __init__(self, hook: str = "request", ticket: int = 0, **given: Any) -> None:
        self.hook = hook
        self.ticket = ticket
        self.connection = given.pop("connection", 1000 + ticket)
        is_exchange = hook in ("request", "request_body", "response", "response_body")
        self.exchange = given.pop("exchange", 2000 + ticket if is_exchange else 0)
        self.chunk = given.pop("chunk", b"")
        self.last = given.pop("last", False)
        self.fields = given.pop("fields", [])
        self.response_fields = given.pop("response_fields", [])
        self.known = given
        self.read: list[str] = []

    def attribute(self, name: str) -> Any:
        self.read.append(name)
        return self.known.get(name)

    def header(self, name: str) -> str | None:
        self.read.append(f"header {name}")
        return _joined(self.fields, name)

    def headers(self) -> list[tuple[str, str]]:
        self.read.append("headers")
        return list(self.fields)

    def response_header(self, name: str) -> str | None:
        return _joined(self.response_fields, name)

    def response_headers(self) -> list[tuple[str, str]]:
        return list(self.response_fields)


def _joined(fields: list[tuple[str, str]], name: str) -> str | None:
    found = [value for key, value in fields if key.lower() == name.lower()]
    return ", ".join(found) if found else None


class Desk:
    """Questions as runners see them, by a condition and an eventfd."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._waiting: list[Question] = []
        self._cancelled: list[int] = []
        self._over: list[int] = []
        self._is_closed = False
        self.answers: dict[int, Any] = {}
        self.batches: list[int] = []
        self.pulled: list[int] = []

    def put(self, *questions: Question) -> None:
        with self._changed:
            self._waiting += questions
            self._ring()

    def cancel(self, *tickets: int) -> None:
        with self._changed:
            self._cancelled += tickets
            self._ring()

    def forget(self, *numbers: int) -> None:
        with self._changed:
            self._over += numbers
            self._ring()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._ring()

    def _ring(self) -> None:
        os.eventfd_write(self._bell, 1)
        self._changed.notify_all()

    def _has(self) -> bool:
        return bool(self._waiting or self._cancelled or self._over or self._is_closed)

    def fileno(self) -> int:
        return self._bell

    def pull(self, most: int, timeout: float) -> tuple[list[Question], list[int], list[int]] | None:
        with self._changed:
            self._changed.wait_for(self._has, timeout)
            if not self._waiting and self._is_closed:
                return None
            taken, self._waiting = self._waiting[:most], self._waiting[most:]
            cancelled, self._cancelled = self._cancelled, []
            over, self._over = self._over, []
            if not self._waiting and not self._is_closed:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._bell)
            if taken:
                self.pulled.append(len(taken))
            return taken, cancelled, over

    def answer(self, answers: list[tuple[Question, Any]], busy: float) -> None:
        """Take answers as the engine does: a text with a lone surrogate is refused, and with it the whole call."""
        assert busy >= 0
        for _, answer in answers:
            _refuse_surrogates(answer)
        with self._changed:
            self.batches.append(len(answers))
            for question, answer in answers:
                assert question.ticket not in self.answers, "answered twice"
                self.answers[question.ticket] = answer
            self._changed.notify_all()

    def answered(self, *tickets: int) -> list[Any]:
        """Wait for answers, and return them."""
        with self._changed:
            there = self._changed.wait_for(lambda: all(ticket in self.answers for ticket in tickets), PATIENCE)
            assert there, f"{tickets} asked, and answered {self.answers}"
            return [self.answers[ticket] for ticket in tickets]


def _refuse_surrogates(answer: Any) -> None:
    for part in answer or ():
        if part[0] in ("route", "consult"):
            part[1].encode()
        if part[0] == "respond" and not 0 <= part[1] < 1 << 16:
            raise OverflowError("out of range")


def asking(analyzer: headworks.Analyzer) -> Asking:
    return Asking("it", analyzer, States())


FAILED = "failed"


def is_failed(answer: Any, kind: str = "raised") -> bool:
    return bool(answer) and answer[0][:2] == (FAILED, kind)
