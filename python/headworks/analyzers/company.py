"""Company: the analyzers of one proxy over its life: made before it serves, replaced at reloads, let go at the end.

Owns the order: what a configuration names is made and started before the engine takes it; what no configuration names
any more answers until its last connection is over, and is stopped then. Must never let an analyzer that cannot start
reach the engine.
"""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headworks.analyzers.asking import LOG, Asking
from headworks.analyzers.base import Analyzer, is_async
from headworks.analyzers.declared import Declared
from headworks.analyzers.loop import Coroutines, Loop
from headworks.analyzers.states import States
from headworks.analyzers.threads import Threads
from headworks.config.problems import ConfigError, Problem

if TYPE_CHECKING:
    from headworks._engine import Engine
    from headworks.feed import Subscription
    from headworks.proxy import Proxy
    from headworks.records import AccessRecord

STARTING = 30.0
"""Seconds that ``start`` of an analyzer may take."""
STOPPING = 10.0
"""Seconds that ``stop`` of an analyzer may take."""


@dataclass(eq=False)
class Member:
    """An analyzer that was made."""

    declared: Declared
    analyzer: Analyzer
    asking: Asking
    needs_loop: bool
    is_over: threading.Event
    """Set when it answers nothing any more, and was stopped."""


class Company:
    """The analyzers of one proxy."""

    def __init__(self, proxy: "Proxy") -> None:
        self._proxy = proxy
        self._states = States()
        self._members: dict[str, Member] = {}
        self._leaving: list[Member] = []
        self._loop: Loop | None = None
        self._listener: _Listener | None = None
        self._switch: float | None = None

    def prepare(self, declared: Mapping[str, Declared]) -> dict[str, Member]:
        """Make and start what is not there yet. Raises ConfigError with every problem; nothing is kept then."""
        made: dict[str, Member] = {}
        problems: list[Problem] = []
        for name, one in declared.items():
            old = self._members.get(name)
            if old is not None and old.declared.version == one.version:
                continue
            try:
                made[name] = self._made(one)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                problems.append(_problem(name, error))
        if problems:
            for member in made.values():
                self._stop(member)
            raise ConfigError(problems)
        return made

    def take(
        self, made: Mapping[str, Member], declared: Mapping[str, Declared], engine: "Engine", turns: float = 0.0
    ) -> None:
        """Have those answer that were made for the configuration that the engine has taken.

        ``turns`` are the seconds after which threads take turns while there are analyzers; 0: as they do already.
        """
        for name, member in made.items():
            if (old := self._members.get(name)) is not None:
                self._leaving.append(old)
            self._members[name] = member
            self._serve(member, engine)
        for name in [name for name in self._members if name not in declared]:
            self._leaving.append(self._members.pop(name))
        self._leaving = [member for member in self._leaving if not member.is_over.is_set()]
        for name, one in declared.items():
            # Where it is attached may have changed, though it is the same.
            self._members[name].declared = one
        self._hurry(turns)

    def discard(self, made: Mapping[str, Member]) -> None:
        """Stop what was made for a configuration that was not taken after all."""
        for member in made.values():
            self._stop(member)

    def end(self) -> None:
        """Wait until all have answered their last question and were stopped, for a bounded time; ends the loop."""
        for member in (*self._members.values(), *self._leaving):
            if not member.is_over.wait(STOPPING):
                LOG.warning("analyzer %s: still at work %s s after its end", member.declared.name, STOPPING)
        self._members.clear()
        self._leaving.clear()
        if self._listener is not None:
            self._listener.end()
            self._listener = None
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        self._rest()

    def _made(self, declared: Declared) -> Member:
        analyzer = declared.make()
        needs_loop = is_async(type(analyzer))
        asking = Asking(declared.name, analyzer, self._states)
        member = Member(declared, analyzer, asking, needs_loop, threading.Event())
        self._call(analyzer.start, STARTING, self._proxy)
        return member

    def _call(self, method: Callable[..., Any], timeout: float, *given: object) -> None:
        """Call a method that may be a coroutine, and wait for it."""
        if getattr(method, "__func__", None) in (Analyzer.start, Analyzer.stop):
            return
        result = method(*given)
        if asyncio.iscoroutine(result):
            self._event_loop().run(result, timeout)

    def _event_loop(self) -> Loop:
        if self._loop is None:
            self._loop = Loop()
        return self._loop

    def _serve(self, member: Member, engine: "Engine") -> None:
        declared = member.declared
        if not any(hook != "ended" for hook in declared.hooks):
            # It only listens.
            member.is_over.set()
            return
        questions = engine.analyzer(declared.name)
        # The last word is not said by whoever answered: a coroutine would wait for itself.
        farewell = lambda: threading.Thread(target=self._stop, args=(member,), daemon=True).start()  # noqa: E731
        if member.needs_loop:
            coroutines = Coroutines(member.asking, questions, declared.waiting, farewell)
            self._event_loop().call(coroutines.start)
        else:
            Threads(member.asking, questions, declared.concurrency, farewell).start()

    def _stop(self, member: Member) -> None:
        try:
            self._call(member.analyzer.stop, STOPPING)
        except BaseException as error:  # noqa: BLE001  (whatever the user's code does, exits included)
            LOG.error("analyzer %s: stop failed", member.declared.name, exc_info=error)
        finally:
            member.is_over.set()

    def listen(self) -> None:
        """Tell those of ends who want to know."""
        wanted = [member for member in self._members.values() if "ended" in member.declared.hooks]
        if self._listener is None and wanted:
            self._listener = _Listener(self._proxy.records(), self._event_loop)
        if self._listener is not None:
            self._listener.members = wanted

    def _hurry(self, turns: float) -> None:
        """Have threads take turns more often: whoever computes for long keeps answers waiting."""
        wanted = turns if self._members else 0.0
        usual = sys.getswitchinterval() if self._switch is None else self._switch
        if 0.0 < wanted < usual:
            self._switch = usual
            sys.setswitchinterval(wanted)
        else:
            self._rest()

    def _rest(self) -> None:
        """Have threads take turns as they did before there were analyzers."""
        if self._switch is not None:
            sys.setswitchinterval(self._switch)
            self._switch = None


class _Listener:
    """Tells analyzers of connections and exchanges that are over."""

    def __init__(self, records: "Subscription[AccessRecord]", loop: Callable[[], Loop]) -> None:
        self.members: list[Member] = []
        self._records = records
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="analyzers-ended", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait for the last records."""
        self._thread.join(STOPPING)

    def _run(self) -> None:
        for record in self._records:
            for member in self.members:
                declared = member.declared
                if record.listener in declared.listeners or record.backend in declared.backends:
                    self._tell(member, record)

    def _tell(self, member: Member, record: "AccessRecord") -> None:
        try:
            told = member.analyzer.ended(record)
            if asyncio.iscoroutine(told):
                self._loop().run(told, STOPPING)
        except BaseException as error:  # noqa: BLE001  (whatever the user's code does, exits included)
            member.asking.failed(error, "ended")


def _problem(name: str, error: BaseException) -> Problem:
    """Say why an analyzer cannot be made or started, and where."""
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "headworks/analyzers" not in frame.filename
    ]
    place = frames[-1] if frames else None
    return Problem(
        path=("analyzers", name, "python"),
        reason=f"it cannot be started: {said}",
        file=place.filename if place else None,
        line=place.lineno if place else None,
    )
