"""Sources: the providers of one proxy over its life: begun before it serves, replaced at reloads, let go at the end.

Owns the one thread with the one event loop in which all of them run, and the order: what a configuration names is asked
before the engine takes it, for a bounded time; what is gone from the configuration is ended, and its servers with it.
Must never keep a start or a reload waiting for a provider that is silent.
"""

import contextlib
import time
import traceback
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from headworks.analyzers.loop import Loop
from headworks.config.problems import ConfigError, Problem
from headworks.notice import Notice
from headworks.providers.source import Source
from headworks.stand_ins import stand_in

if TYPE_CHECKING:
    from headworks._engine import Engine, Plan
    from headworks.providers.declared import Declared

PATIENCE = 5.0
"""Seconds that a start or a reload waits for the first sets of providers that are new."""

THREADS = 64
"""Threads at most for what blocks: some of it may never end, and keeps one."""
ENDING = 2.0
"""Seconds that all of them may take to end."""

Key = tuple[str, str]
"""The backend, and the reference that is written there."""


class Sources:
    """The providers of one proxy. ``report`` gets a Notice of whatever fails."""

    def __init__(self, report: Callable[[Notice], None]) -> None:
        self._report = report
        self._known: dict[Key, Source] = {}
        self._loop: Loop | None = None
        self._threads: ThreadPoolExecutor | None = None

    def prepare(self, declared: Sequence["Declared"]) -> dict[Key, Source]:
        """Make and begin what is not there yet, and wait for first sets. Raises ConfigError with every problem."""
        made: dict[Key, Source] = {}
        problems: list[Problem] = []
        for one in declared:
            key = (one.backend, one.source)
            old = self._known.get(key)
            if old is not None and old.declared.version == one.version:
                continue
            try:
                made[key] = Source(one, one.make(), self._report)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                problems.append(_problem(one, error))
                continue
            if old is not None:
                # What it has to be as good as.
                made[key].succeed(old)
        if problems:
            raise ConfigError(problems)
        if made:
            self._begin(made)
        return made

    def offer(self, made: Mapping[Key, Source], engine: "Engine") -> None:
        """Hand first sets to backends that run already, before a configuration that names their providers does."""
        for source in made.values():
            source.hand_to(engine)

    def first(self, made: Mapping[Key, Source], there: Container[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the servers that new ones have found by now, by backend, but for backends that run already."""
        found: dict[str, list[dict[str, Any]]] = {}
        for (backend, _), source in made.items():
            if backend not in there and (servers := source.found()):
                found.setdefault(backend, []).extend(servers)
        return found

    def take(
        self, made: Mapping[Key, Source], declared: Sequence["Declared"], engine: "Engine", plan: "Plan | None"
    ) -> None:
        """Have those give servers that were made for the configuration that the engine has taken, and those it kept.

        ``plan`` is the one of the configuration where the engine has taken another one, with first servers.
        """
        named = {(one.backend, one.source) for one in declared}
        gone = {key: source for key, source in self._known.items() if key in made or key not in named}
        self._end(gone.values())
        for key in gone.keys() - made.keys():
            self._known.pop(key).take_away(engine)
        for key, source in made.items():
            if key in gone:
                source.succeed(gone[key])
            self._known[key] = source
            source.hand_to(engine)
        if plan is not None:
            engine.apply(plan)
        for one in declared:
            with contextlib.suppress(KeyError):
                engine.remove_server(one.backend, stand_in(one.number))

    def discard(self, made: Mapping[Key, Source], engine: "Engine | None") -> None:
        """End what was made for a configuration that was not taken after all."""
        self._end(made.values())
        if engine is None:
            return
        for key, source in made.items():
            source.take_away(engine)
            if key in self._known:
                self._known[key].hand_to(engine)

    def stats(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each, by backend and reference."""
        found: dict[str, dict[str, Any]] = {}
        for (backend, name), source in list(self._known.items()):
            found.setdefault(backend, {})[name] = source.stats()
        return found

    def end(self) -> None:
        """End all of them and the loop; what they gave stays with the engine."""
        self._end(self._known.values())
        loop, self._loop = self._loop, None
        if loop is None:
            return
        for source in self._known.values():
            # One that blocks is left behind.
            with contextlib.suppress(TimeoutError, RuntimeError):
                loop.run(source.ended(), ENDING / len(self._known))
        loop.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, made: Mapping[Key, Source]) -> None:
        """Begin them, and wait until each has given a set or failed once, but not for long."""
        if self._loop is None or self._loop.loop.is_closed():
            self._loop = Loop("providers")
            self._threads = ThreadPoolExecutor(THREADS, "providers")
            self._loop.call(partial(self._loop.loop.set_default_executor, self._threads))
        for source in made.values():
            self._loop.call(source.begin)
        deadline = time.monotonic() + PATIENCE
        for source in made.values():
            if not source.asked.wait(max(0.0, deadline - time.monotonic())):
                source.late(PATIENCE)

    def _end(self, sources: Any) -> None:
        for source in sources:
            source.end()
            # Whatever exits in the loop ends it, and all that runs there.
            with contextlib.suppress(RuntimeError):
                if self._loop is not None:
                    self._loop.call(source.cancel)


def _problem(declared: "Declared", error: BaseException) -> Problem:
    """Say why a provider cannot be made, and where."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "headworks/providers" not in one.filename]
    place = frames[-1] if frames else None
    return Problem(
        path=declared.path,
        reason=f"{declared.source} cannot be made: {type(error).__name__}: {error}".rstrip(": "),
        file=place.filename if place else None,
        line=place.lineno if place else None,
    )
