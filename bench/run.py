#!/usr/bin/env python3
"""Compare Headworks with what a user would pick instead: `python bench/run.py [SCENARIO ...]`.

Owns the command line and the order of work. See bench/README.md for what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import generator
import processes
import report
import terminal
import tools
from competitors import COMPETITORS
from measure import GIB, NEEDS_TWO_CORES, Bench, Options, fit
from proxies import certificates
from results import Outcome
from scenarios import SCENARIOS, Lane, Scenario

FULL_SECONDS, QUICK_SECONDS = 2500.0, 130.0
"""What a run should take; the seconds per lane and round follow from it."""

Plan = tuple[Scenario, list[Lane], dict[str, str]]


def main() -> int:
    """Measure what was asked for, print and save the report; 1 when a run was invalid."""
    signal.signal(signal.SIGTERM, _interrupt)
    asked = _arguments()
    program = generator.Generator(binary=generator.build(), core=asked.core)
    plans = _plans(asked)
    options = _options(asked, program, plans)
    _announce(plans, program, options)
    outcomes = _measure_all(plans, program, options)
    terminal.show(outcomes, options)
    print(f"saved: {report.save(outcomes, options)} and latest.json", file=sys.stderr)
    _draw()
    return int(any(result.problem for outcome in outcomes for result in outcome.results))


def _plans(asked: argparse.Namespace) -> list[Plan]:
    """Return the scenarios of this run, each with the lanes that can run and why others cannot."""
    quick = asked.quick and not asked.scenarios
    chosen = [scenario for scenario in SCENARIOS if scenario.name in asked.scenarios or not asked.scenarios]
    plans = []
    for scenario in chosen:
        if quick and not scenario.quick:
            continue
        lanes, skipped = _participants(scenario, asked)
        lanes += [replace(lane, suffix=f"{lane.suffix}-again") for lane in lanes if lane.label in asked.twice]
        plans.append((scenario, lanes, skipped))
    return plans


def _participants(scenario: Scenario, asked: argparse.Namespace) -> tuple[list[Lane], dict[str, str]]:
    """Return the lanes that can run, and why the others cannot. Lanes not asked for are not mentioned."""
    whole = ""
    if scenario.method in NEEDS_TWO_CORES and asked.load_core < 0:
        whole = "needs two cores"
    elif not tools.found(scenario.tool):
        whole = f"{scenario.tool} is not installed (make bench-deps)"
    elif scenario.https and not certificates.found():
        whole = "openssl is not installed (make bench-deps)"
    lanes, skipped = [], {}
    for lane in scenario.lanes:
        if asked.only and lane.competitor not in asked.only and lane.label not in asked.only:
            continue
        if reason := whole or _hindrance(scenario, lane):
            skipped[lane.label] = reason
        else:
            lanes.append(lane)
    return lanes, skipped


def _hindrance(scenario: Scenario, lane: Lane) -> str:
    """Say why a lane cannot run; empty when it can."""
    competitor = COMPETITORS[lane.competitor]
    if competitor.find() is None:
        variable = competitor.program.upper().replace("-", "_")
        return f"not found; make bench-deps, or set {variable}=/path"
    protocol = scenario.protocol(lane)
    if not competitor.can(protocol):
        return f"no {protocol} in this build" if lane.competitor == "headworks" else f"does not do {protocol}"
    if scenario.method == "reload" and not competitor.reloadable:
        return "cannot be reloaded"
    return ""


def _measure_all(plans: Sequence[Plan], program: generator.Generator, options: Options) -> list[Outcome]:
    outcomes = []
    bench = Bench(program, options, lambda _label, _seconds: None)
    with _progress(sum(bench.seconds(scenario, lanes) for scenario, lanes, _ in plans)) as step:
        bench = Bench(program, options, step)
        for scenario, lanes, skipped in plans:
            results = bench.measure(scenario, lanes) if lanes else []
            outcomes.append(Outcome(scenario=scenario, results=results, skipped=skipped))
    return outcomes


def _arguments() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--only", type=_list, default=[], help="competitors or lanes, with commas between")
    parser.add_argument(
        "--twice",
        type=_list,
        default=[],
        help="lanes to run a second time as LANE-again: how far equals differ by noise",
    )
    parser.add_argument("--rounds", type=int, help="rounds of A B C ...; default 5")
    parser.add_argument("--seconds", type=float, help="seconds per lane and round; default: what fits 45 minutes")
    parser.add_argument("--connections", type=int, help="instead of the scenario's own number")
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="the proxy's (or everything's)")
    parser.add_argument("--load-core", type=int, help="the other core, for what needs two; -1: there is none")
    parser.add_argument("--late", action="store_true", help="connect: send the hello a turn after connecting")
    parser.add_argument(
        "--quick", action="store_true", default=os.environ.get("QUICK", "") not in ("", "0"), help="rough numbers soon"
    )
    asked = parser.parse_args()
    for name in asked.scenarios:
        if name not in names:
            parser.error(f"{name}: no such scenario; there are {', '.join(names)}")
    known = {*COMPETITORS, *(lane.label for scenario in SCENARIOS for lane in scenario.lanes)}
    for name in [*asked.only, *asked.twice]:
        if name not in known:
            parser.error(f"{name}: no such competitor or lane; there are {', '.join(sorted(known))}")
    if asked.load_core is None:
        asked.load_core = min(os.sched_getaffinity(0) - {asked.core}, default=-1)
    return asked


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _options(asked: argparse.Namespace, program: generator.Generator, plans: Sequence[Plan]) -> Options:
    rounds, size = (2, GIB // 4) if asked.quick else (5, GIB)
    options = Options(
        rounds=asked.rounds or rounds,
        seconds=asked.seconds or 0.0,
        warmup=0.3,
        bulk_bytes=size,
        proxy_core=asked.core,
        load_core=asked.load_core,
        connections=asked.connections,
        descriptors=processes.raise_descriptor_limit(),
        late=asked.late,
        idle_connections=1500 if asked.quick else 9000,
        reload_seconds=4.0 if asked.quick else 8.0,
    )
    if asked.seconds:
        return options
    budget = QUICK_SECONDS if asked.quick else FULL_SECONDS
    fitted = fit(program, options, [(scenario, lanes) for scenario, lanes, _ in plans], budget)
    return replace(fitted, seconds=min(fitted.seconds, 0.8)) if asked.quick else fitted


def _announce(plans: Sequence[Plan], program: generator.Generator, options: Options) -> None:
    """Say beforehand what will run and for how long."""
    bench = Bench(program, options, lambda _label, _seconds: None)
    for scenario, lanes, _ in plans:
        taking = bench.seconds(scenario, lanes)
        who = ", ".join(lane.label for lane in lanes) or "nobody"
        print(f"{scenario.name:18} about {taking:4.0f} s  {who}", file=sys.stderr)
    whole = sum(bench.seconds(scenario, lanes) for scenario, lanes, _ in plans)
    print(
        f"{options.rounds} rounds of {options.seconds:g} s a lane; about {whole / 60:.1f} minutes in all",
        file=sys.stderr,
        flush=True,
    )


def _draw() -> None:
    """Draw the charts, where matplotlib is."""
    try:
        import charts
    except ImportError:
        print("charts: skipped, matplotlib is not installed (pip install --group bench)", file=sys.stderr)
        return
    drawn = charts.draw(report.read(), report.RESULTS)
    if drawn:
        print(f"charts: {', '.join(str(path) for path in drawn)}", file=sys.stderr)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Make TERM unwind like ctrl-c, so that every child is ended."""
    raise KeyboardInterrupt


@contextmanager
def _progress(whole: float) -> Iterator[Callable[[str, float], None]]:
    """Show what is running and how long it will take; plain lines without rich or without a terminal."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield _plain(whole)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(whole)
        return
    columns = (TextColumn("{task.description:36}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=whole)
        under_way = 0.0

        def step(label: str, seconds: float) -> None:
            nonlocal under_way
            progress.update(task, description=label, advance=under_way)
            under_way = seconds

        yield step


def _plain(whole: float) -> Callable[[str, float], None]:
    done = 0.0

    def step(label: str, seconds: float) -> None:
        nonlocal done
        print(f"[about {max(0.0, whole - done):.0f} s left] {label}", file=sys.stderr, flush=True)
        done += seconds

    return step


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; every process was ended")
