"""Source: one provider of one backend over its life: asked, asked again, and what it says handed to the engine.

Owns the pace (sets that come together are one, one a second is handed on), patience with failures, and what is told of
them. Must never take servers away because a provider fails, unless ``stale_after`` says when; must never hand anything
on after its end.
"""

import asyncio
import contextlib
import json
import math
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from headworks.notice import Notice
from headworks.providers.base import Provider, ProviderError, Servers
from headworks.providers.sets import settled

if TYPE_CHECKING:
    from headworks._engine import Engine
    from headworks.providers.declared import Declared

GATHERED = 0.1
"""Seconds in which sets that come together count as one."""
APART = 1.0
"""Seconds between two sets that are handed on."""
_FIRST_PAUSE = 0.5
"""Seconds after which one that failed is asked again, at first."""
_MOST_SETS = 100
"""Sets that are looked at in a second; a provider that yields more waits."""


class Source:
    """One provider of one backend. Made and ended by any thread, followed in the loop of providers."""

    def __init__(self, declared: "Declared", provider: Provider, report: Callable[[Notice], None]) -> None:
        self.declared = declared
        self.asked = threading.Event()
        """Set once it has given a good set, or failed."""
        self._provider = provider
        self._report = report
        self._wanted: tuple[str, ...] | None = None
        self.given: tuple[str, ...] = ()
        """Servers that the engine has of it."""
        self.answered: float | None = None
        """Time of the last good set."""
        self._failure: str | None = None
        self._failures = 0
        self._is_good = False
        # The reason that was told last, if it was not told since that all is well; and when.
        self._said: str | None = None
        self._told = -math.inf
        self._pause = _FIRST_PAUSE
        # Held while servers are handed on: whoever ends it knows that nothing comes after.
        self._handing = threading.Lock()
        self._engine: Engine | None = None
        self._is_over = False
        self._sets: list[float] = []
        self._looked_at: object = None
        self._settled: tuple[str, ...] = ()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Follow it from now on; called in the loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def hand_to(self, engine: "Engine") -> None:
        """Hand what was found to this engine, at once and from now on; nothing to a backend that is not there yet."""
        if self._wanted is not None:
            with contextlib.suppress(KeyError):
                self._hand(self._wanted, engine)
        self._engine = engine

    def found(self) -> list[dict[str, Any]]:
        """Return the servers of its last set, as a configuration has them: those that are addresses."""
        servers = [json.loads(one) for one in self._wanted or ()]
        return [one for one in servers if _is_address(one["address"])]

    def late(self, seconds: float) -> None:
        """Tell that it has said nothing for so long."""
        self._failed(f"it gave no servers within {seconds:g} s")

    def succeed(self, old: "Source") -> None:
        """Take over what another one of its name has given: it stays until there is better."""
        self.given = old.given
        self.answered = old.answered

    def end(self) -> None:
        """Hand nothing on any more, from any thread; what was given stays."""
        with self._handing:
            self._is_over = True

    def cancel(self) -> None:
        """Ask it no more; called in the loop."""
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Wait until it was cancelled; awaited in the loop."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def take_away(self, engine: "Engine") -> None:
        """Take its servers away, after its end."""
        with contextlib.suppress(KeyError, RuntimeError):
            engine.set_servers(self.declared.backend, self.declared.source, "[]")

    def stats(self) -> dict[str, Any]:
        """Return what is known of it, from any thread."""
        answered = self.answered
        return {
            "servers": len(self.given),
            "age": None if answered is None else max(0.0, time.monotonic() - answered),
            "failure": self._failure,
            "failures": self._failures,
        }

    async def _run(self) -> None:
        below = [asyncio.create_task(work()) for work in (self._hand_on, self._expire)]
        try:
            await self._follow()
        finally:
            for task in below:
                task.cancel()
            await asyncio.gather(*below, return_exceptions=True)

    async def _follow(self) -> None:
        """Ask for ever: after an end in peace in a while, after a failure ever more seldom."""
        while True:
            try:
                await self._listen()
                pause = _seconds(self._provider.interval, Provider.interval)
            except BaseException as error:
                if _is_cancelled(error):
                    raise
                self._failed(_reason(error))
                # Some luck, so that many do not come together.
                pause = self._pause * random.uniform(0.8, 1.2)  # noqa: S311  (no secret)
                self._pause = min(self._pause * 2, _seconds(self._provider.longest_pause, Provider.longest_pause))
            await asyncio.sleep(max(pause, GATHERED))

    async def _listen(self) -> None:
        """Take what it yields until it ends. Raises whatever it does."""
        yielded: Any = self._provider.servers()
        if not isinstance(yielded, AsyncIterator):
            if asyncio.iscoroutine(yielded):
                yielded.close()
            raise ProviderError(f"servers() returned {type(yielded).__name__}, and it is a generator: it yields sets")
        count = 0
        try:
            async for given in yielded:
                count += 1
                if self._is_over:
                    return
                await self._take(given)
        finally:
            if (close := getattr(yielded, "aclose", None)) is not None:
                await close()
        if not count:
            raise ProviderError("it ended without a set")

    async def _take(self, given: Servers) -> None:
        """Look at a set; what is good is wanted from now on."""
        try:
            # What cannot change need not be looked at again.
            if not (given is self._looked_at and isinstance(given, tuple)):
                self._settled = await asyncio.to_thread(settled, given, self.declared.defaults)
            self._looked_at, found = given, self._settled
        except Exception as error:  # noqa: BLE001  (a set may be any object)
            self._failed(_reason(error))
        else:
            least = self.declared.min_servers
            if len(found) < least and (len(found) < len(self.given) or not found):
                self._failed(f"it has {_counted(len(found))}, and min_servers is {least}")
            else:
                self._succeeded(found)
        await self._rest()

    def _succeeded(self, found: tuple[str, ...]) -> None:
        self._wanted = found
        self.answered = time.monotonic()
        self._pause = _FIRST_PAUSE
        self._is_good = True
        self.asked.set()
        self._changed.set()

    async def _rest(self) -> None:
        """Have one that yields all the time wait."""
        now = time.monotonic()
        self._sets = [*(one for one in self._sets if one > now - APART), now]
        if len(self._sets) > _MOST_SETS:
            await asyncio.sleep(APART)

    async def _hand_on(self) -> None:
        """Hand the last set on, whenever there is another one."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHERED)
            if self._engine is None or self._wanted is None:
                # The engine is about to be there: whoever brings it takes what is wanted then.
                continue
            self._changed.clear()
            if self._wanted == self.given:
                self._recovered()
            else:
                await asyncio.to_thread(self._try_hand, self._wanted, self._engine)
            await asyncio.sleep(APART - GATHERED)

    def _try_hand(self, wanted: tuple[str, ...], engine: "Engine") -> None:
        try:
            self._hand(wanted, engine)
        except (KeyError, RuntimeError):
            # The backend went with a reload, or the engine with its proxy: the end is near.
            return
        except Exception as error:  # noqa: BLE001  (whoever hands on must go on doing so)
            self._failed(_reason(error))

    def _hand(self, wanted: tuple[str, ...], engine: "Engine") -> None:
        """Give servers to the engine. What it refuses is a failure. Raises KeyError."""
        declared = self.declared
        with self._handing:
            if self._is_over:
                return
            try:
                engine.set_servers(declared.backend, declared.source, f"[{', '.join(wanted)}]")
            except ValueError as error:
                self._failed(_shortened(str(error)))
                return
            self.given = wanted
        self._recovered()

    async def _expire(self) -> None:
        """Take the servers away once there was no good set for too long."""
        after = self.declared.stale_after
        while after is not None:
            since = self.answered
            left = after if since is None else since + after - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
                continue
            if self.given and self._engine is not None:
                await asyncio.to_thread(self._empty, self._engine, after)
            await asyncio.sleep(min(after, APART))

    def _empty(self, engine: "Engine", after: float) -> None:
        with self._handing:
            if self._is_over:
                return
            self._wanted = self.given = ()
            self._is_good = False
            self.take_away(engine)
        reason = f"no set for {after:g} s"
        self._failure = f"{self._failure}; {reason}" if self._failure else reason
        self._tell(self._failure)

    def _failed(self, reason: str) -> None:
        self._failures += 1
        self._failure = reason
        self._is_good = False
        # One that fails in another way each time is told of once a second.
        if reason != self._said and time.monotonic() - self._told >= APART:
            self._tell(reason)
        self.asked.set()

    def _tell(self, reason: str) -> None:
        self._said = reason
        self._told = time.monotonic()
        facts = {"reason": reason, "servers": len(self.given)}
        self._report(Notice(kind="discovery_stale", facts={**self._named(), **facts}))

    def _recovered(self) -> None:
        if not self._is_good:
            # What is handed on is older than the last failure.
            return
        self._failure = None
        if self._said is not None:
            self._said = None
            self._report(Notice(kind="discovery_fresh", facts={**self._named(), "servers": len(self.given)}))

    def _named(self) -> dict[str, object]:
        return {"backend": self.declared.backend, "source": self.declared.source}


def _seconds(said: object, usual: float) -> float:
    """Return what a class says, if those are seconds."""
    return float(said) if isinstance(said, (int, float)) and 0 <= said < _LONG else usual


_LONG = 1e9
"""Seconds that nobody waits."""


def _is_address(text: str) -> bool:
    """Whether it is an address that can be connected to, as against a name."""
    host, _, port = text.rpartition(":")
    if text.startswith("unix:"):
        return True
    try:
        return bool(ip_address(host.strip("[]"))) and port.isdigit()
    except ValueError:
        return False


def _is_cancelled(error: BaseException) -> bool:
    """Whether we are told to end, and not the provider has cancelled itself."""
    if isinstance(error, GeneratorExit):
        return True
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)


def _reason(error: BaseException) -> str:
    if isinstance(error, ProviderError):
        return str(error)
    return _shortened(f"{type(error).__name__}: {error}".rstrip(": "))


def _shortened(text: str) -> str:
    """Keep a reason to what a line of the log may hold."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


_LONGEST = 300
"""Characters of a reason."""


def _counted(number: int) -> str:
    return "1 server" if number == 1 else f"{number} servers"
