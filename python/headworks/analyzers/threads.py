"""Threads: those that run an analyzer of plain methods: each takes what has come, answers it, and takes more.

Owns how many questions are answered in one go, and for how long answers are kept back. Must never hold anything while
an analyzer works but the questions that it works on.
"""

import threading
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from headworks.analyzers.asking import Asking

if TYPE_CHECKING:
    from headworks._engine import Question, Questions
    from headworks.analyzers.verdicts import Encoded

BATCH = 64
"""Questions taken in one go at most."""
TOGETHER = 16
"""Answers given in one go at most: no more are kept back by one that takes long."""
LONGEST = 0.001
"""Seconds that an answer waits for the others of its batch."""
_GLANCE = 1.0
"""Seconds after which ends of connections are looked at, if there are no questions."""


class Threads:
    """The threads of one analyzer; they end when its questions do. ``ended`` is called once, by the last of them."""

    def __init__(self, asking: Asking, questions: "Questions", concurrency: int, ended: Callable[[], None]) -> None:
        self._asking = asking
        self._questions = questions
        self._ended = ended
        self._left = concurrency
        self._leaving = threading.Lock()
        self._all = [
            threading.Thread(target=self._run, name=f"analyzer-{asking.name}-{number}", daemon=True)
            for number in range(concurrency)
        ]

    def start(self) -> None:
        """Begin to answer."""
        for thread in self._all:
            thread.start()

    def _run(self) -> None:
        pull, forget = self._questions.pull, self._asking.states.forget
        # One that takes long takes one question at a time: those behind it are others' to answer, or to be taken back.
        most = 1
        while (pulled := pull(most, _GLANCE)) is not None:
            questions, _, over = pulled
            if questions:
                most = min(2 * most, BATCH) if self._answer(questions) else 1
            # After the answers: nobody waits for this.
            if over:
                forget(over)
        with self._leaving:
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._ended()

    def _answer(self, questions: "list[Question]") -> bool:
        """Answer questions; whether each was answered quickly."""
        ask, give, to = self._asking.ask, self._asking.give, self._questions
        answers: list[tuple[Question, Encoded | None]] = []
        begun, is_quick = perf_counter(), True
        for question in questions:
            answers.append((question, ask(question)))
            busy = perf_counter() - begun
            if busy > LONGEST or len(answers) >= TOGETHER:
                is_quick = is_quick and busy <= LONGEST
                give(to, answers, busy)
                answers, begun = [], perf_counter()
        if answers:
            give(to, answers, perf_counter() - begun)
        return is_quick
