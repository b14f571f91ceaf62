"""Step: a web server dies under kept connections, and no request is lost: what is safe to repeat is repeated."""

import time
from itertools import pairwise

from headworks.demo.browsers import Crowd
from headworks.demo.clients import Traffic, by_server, errors
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage

_NAME, _VICTIM, _OTHER = "www.example", "web-1", "web-2"
_ENOUGH = 20
"""Answers that are waited for in each phase."""


def run(stage: Stage) -> Result:
    """Kill, watch, start again, watch."""
    victim = stage.origins[_VICTIM]
    seen = stage.notices.count()
    with Crowd(stage.clients) as crowd, Traffic(crowd.ask, _NAME) as traffic:
        stage.progress(f"4 clients ask for {_NAME}")
        _until_served(traffic, _VICTIM, _OTHER)
        stage.progress(f"{_VICTIM} is killed")
        victim.kill()
        marks = [0.0, time.monotonic()]
        stage.notices.wait("server_down", victim.address, after=seen)
        _until_served(traffic, _OTHER)
        stage.progress(f"{_VICTIM} is started again")
        victim.start()
        stage.notices.wait("server_up", victim.address, after=seen)
        marks += [time.monotonic(), float("inf")]
        _until_served(traffic, _VICTIM, _OTHER)
    shown = table("while", f">{_VICTIM}", f">{_OTHER}", ">failed")
    for name, (begin, end) in zip((f"until {_VICTIM} died", "dead", "back"), pairwise(marks), strict=True):
        attempts = traffic.since(begin, end)
        count = by_server(attempts)
        shown.add_row(name, str(count[_VICTIM]), str(count[_OTHER]), str(len(errors(attempts))))
    failed = errors(traffic.since())
    return Result(
        shown=(shown,), problems=unless((not failed, f"{len(failed)} requests failed: {'; '.join(failed[:3])}"))
    )


def _until_served(traffic: Traffic, *servers: str) -> None:
    """Wait for enough answers from now on, of each of ``servers``."""
    now = time.monotonic()

    def served() -> bool:
        count = by_server(traffic.since(now))
        return all(count[server] >= _ENOUGH for server in servers)

    traffic.wait(f"answers of {' and '.join(servers)}", served)


STEP = Step(
    name="repeats",
    says=(
        f"{_VICTIM} is killed while four clients keep asking over kept connections. A GET that it took and did not "
        "answer is asked again, of the other server; a POST never would be."
    ),
    run=run,
)
