"""Step: a server dies under traffic, its connections go to the other one, and come back when it does."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rich.console import RenderableType

from headworks.demo.clients import Attempt, Traffic, by_server, errors
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage, until
from headworks.stats import Notice

NAME, VICTIM, OTHER = "blog.example", "blog-1", "blog-2"
_ENOUGH = 8
"""Answers that are waited for in each phase."""


@dataclass(frozen=True, kw_only=True)
class _Story:
    """Events of a failover, on the monotonic clock."""

    killed: float
    started: float
    """The moment that it was started again."""
    back: float
    """The moment that its checks held it to be up again."""
    down: Notice
    down_after: float
    retries: int
    attempts: list[Attempt]

    def phases(self) -> Iterator[tuple[str, list[Attempt]]]:
        """Split by what was the case when a request began."""
        marks = (0.0, self.killed, self.started, self.back, float("inf"))
        names = (f"until {VICTIM} died", f"{VICTIM} dead", f"{VICTIM} started", f"{VICTIM} back")
        for name, (begin, end) in zip(names, pairwise(marks), strict=True):
            yield name, [one for one in self.attempts if begin <= one.began < end]


def run(stage: Stage) -> Result:
    """Kill, watch, start again, watch."""
    story = _play(stage)
    phases = dict(story.phases())
    late = errors([one for one in story.attempts if one.began >= story.killed])
    dead = by_server(phases[f"{VICTIM} dead"])
    return Result(
        shown=_show(story),
        problems=unless(
            (not late, f"requests that began after the kill failed: {'; '.join(late[:3])}"),
            (not dead[VICTIM], f"{VICTIM} answered while it was dead"),
            (bool(dead[OTHER]), f"{OTHER} took nothing over"),
            (story.retries > 0, "no connect was tried again on the other server"),
        ),
    )


def _play(stage: Stage) -> _Story:
    victim = stage.origins[VICTIM]
    seen, retries = stage.notices.count(), _retries(stage)
    with Traffic(stage.clients.served_by, NAME) as traffic:
        stage.progress(f"4 clients ask for {NAME}")
        _until_served(traffic, VICTIM, OTHER)
        stage.progress(f"{VICTIM} is killed")
        victim.kill()
        killed = time.monotonic()
        until("a connect is tried again", lambda: _retries(stage) > retries)
        down = stage.notices.wait("server_down", victim.address, after=seen)
        down_after = time.monotonic() - killed
        _until_served(traffic, OTHER)
        stage.progress(f"{VICTIM} is started again")
        started = time.monotonic()
        victim.start()
        stage.notices.wait("server_up", victim.address, after=seen)
        back = time.monotonic()
        _until_served(traffic, VICTIM, OTHER)
    return _Story(
        killed=killed,
        started=started,
        back=back,
        down=down,
        down_after=down_after,
        retries=_retries(stage) - retries,
        attempts=traffic.since(),
    )


def _show(story: _Story) -> tuple[RenderableType, ...]:
    shown = table("while", f">{VICTIM}", f">{OTHER}", ">failed")
    for name, attempts in story.phases():
        count = by_server(attempts)
        shown.add_row(name, str(count[VICTIM]), str(count[OTHER]), str(len(errors(attempts))))
    told = (
        f"Retries on the other server: {story.retries}. "
        f"Notice server_down after {story.down_after:.2f} s ({story.down.facts.get('reason')}), "
        f"server_up {story.back - story.started:.2f} s after its start."
    )
    return (
        shown,
        told,
        "Only an answer under way when a server dies can be lost: those are the failures, if any, above.",
    )


def _until_served(traffic: Traffic, *servers: str) -> None:
    """Wait for enough answers from now on, of each of ``servers``."""
    now = time.monotonic()

    def served() -> bool:
        count = by_server(traffic.since(now))
        return all(count[server] >= _ENOUGH for server in servers)

    traffic.wait(f"answers of {' and '.join(servers)}", served)


def _retries(stage: Stage) -> int:
    return stage.proxy.stats().backends["blog"].retries


STEP = Step(
    name="failover",
    says=(
        f"{VICTIM} is killed while four clients keep asking. A connect that fails is tried on the other server at "
        "once; after three failures the dead one is left out; checks find it down, and two good ones bring it back."
    ),
    run=run,
)
