"""Step: two servers share a name by weight."""

from collections import Counter

from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage

_REQUESTS = 24
_SHARES = {"blog-1": 2, "blog-2": 1}
_SLACK = 2
"""Requests that either server may be off its share: each worker takes its own turns."""


def run(stage: Stage) -> Result:
    """Ask one name again and again."""
    got = Counter(stage.clients.ask("blog.example").server for _ in range(_REQUESTS))
    shown = table("server", ">weight", ">requests")
    for name, weight in _SHARES.items():
        shown.add_row(name, str(weight), str(got[name]))
    total = sum(_SHARES.values())
    off = {name: abs(got[name] - _REQUESTS * weight // total) for name, weight in _SHARES.items()}
    return Result(
        shown=(shown,),
        problems=unless((max(off.values()) <= _SLACK, f"not shared as 2 to 1: {dict(got)}")),
    )


STEP = Step(
    name="weights",
    says=f"blog.example has two servers, one of twice the weight: {_REQUESTS} requests are shared 2 to 1.",
    run=run,
)
