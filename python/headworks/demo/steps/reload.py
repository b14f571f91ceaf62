"""Step: the configuration is swapped under traffic: a name more, a server less, many times, and once a wrong one."""

import copy
import time
from dataclasses import dataclass
from typing import Any

from headworks.config import ConfigError
from headworks.demo.clients import Traffic, by_server, errors, hello
from headworks.demo.report import Result, Step, milliseconds, table, unless
from headworks.demo.stage import Stage

NEW = "news.example"
_SWAPS = 20
_BETWEEN = 3
"""Requests waited for between two swaps."""


@dataclass(frozen=True, kw_only=True)
class _Change:
    """One change, what it led to, and what is wrong with that."""

    what: str
    effect: str
    seconds: float
    problems: tuple[str, ...] = ()


def run(stage: Stage) -> Result:
    """Make every change while clients keep asking."""
    with Traffic(stage.clients.served_by, "blog.example", "shop.example", "cats.apps.example") as traffic:
        traffic.more(_BETWEEN)
        changes = [_add_name(stage), _remove_server(stage, traffic), _swap_often(stage, traffic), _mistake(stage)]
        traffic.more(_BETWEEN)
    attempts = traffic.since()
    failed = errors(attempts)
    shown = table("change", "effect", ">swapped in")
    for change in changes:
        shown.add_row(change.what, change.effect, milliseconds(change.seconds))
    problems = tuple(problem for change in changes for problem in change.problems)
    problems += unless((not failed, f"{len(failed)} requests failed: {'; '.join(failed[:3])}"))
    summary = f"Meanwhile: {len(attempts)} requests by 4 clients, {len(failed)} failed."
    return Result(shown=(shown, summary), problems=problems)


def _add_name(stage: Stage) -> _Change:
    before = stage.clients.refused(hello(NEW))
    settings = copy.deepcopy(stage.settings)
    settings["tables"]["sites"][NEW] = "news"
    settings["backends"]["news"] = {"servers": [stage.origins["news-1"].address]}
    seconds = stage.reload(settings)
    server = stage.clients.ask(NEW).server
    return _Change(
        what=f"{NEW} added",
        effect=f"{before} before, served by {server} after",
        seconds=seconds,
        problems=unless((server == "news-1", f"{NEW} came to {server}")),
    )


def _remove_server(stage: Stage, traffic: Traffic) -> _Change:
    whole = stage.settings
    seconds = stage.reload(_without_blog_1(whole))
    now = time.monotonic()
    traffic.wait("answers of blog-2", lambda: by_server(traffic.since(now))["blog-2"] >= _BETWEEN)
    strays = by_server(traffic.since(now, time.monotonic()))["blog-1"]
    stage.reload(whole)
    return _Change(
        what="server blog-1 removed, later put back",
        effect="blog-2 served all of blog.example",
        seconds=seconds,
        problems=unless((not strays, f"{strays} connections still came to the removed server")),
    )


def _swap_often(stage: Stage, traffic: Traffic) -> _Change:
    whole = stage.settings
    slim = _without_blog_1(whole)
    seconds, began = 0.0, time.monotonic()
    for number in range(_SWAPS):
        stage.progress(f"swap {number + 1} of {_SWAPS}")
        seconds += stage.reload(whole if number % 2 else slim)
        traffic.more(_BETWEEN)
    attempts = traffic.since(began)
    effect = f"{len(attempts)} requests between them, {len(errors(attempts))} failed"
    return _Change(what=f"{_SWAPS} swaps more (mean)", effect=effect, seconds=seconds / _SWAPS)


def _mistake(stage: Stage) -> _Change:
    settings = copy.deepcopy(stage.settings)
    settings["tables"]["sites"][NEW] = "nwes"
    began = time.perf_counter()
    try:
        stage.proxy.reload(settings)
    except ConfigError as error:
        effect = f"refused: {error.problems[0]}"
    else:
        effect = "taken"
    return _Change(
        what="a mistake",
        effect=effect,
        seconds=time.perf_counter() - began,
        problems=unless((effect != "taken", "a configuration with a mistake was taken")),
    )


def _without_blog_1(settings: dict[str, Any]) -> dict[str, Any]:
    slim = copy.deepcopy(settings)
    slim["backends"]["blog"]["servers"].pop(0)
    return slim


STEP = Step(
    name="reload",
    says=(
        "A reload makes a whole new plan beside the old one and swaps it in; open connections end under the plan they "
        "began with. Here it happens again and again under traffic."
    ),
    run=run,
)
