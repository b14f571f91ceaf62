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
from competitors import COMPETITORS
from measure import GIB, Bench, LaneResult, Options
from scenarios import SCENARIOS, Lane, Scenario


def main() -> int:
    """Measure what was asked for, print and save the report; 1 when a run was invalid."""
    signal.signal(signal.SIGTERM, _interrupt)
    asked = _arguments()
    chosen = [scenario for scenario in SCENARIOS if not asked.scenarios or scenario.name in asked.scenarios]
    options = _options(asked)
    program = generator.Generator(binary=generator.build(), core=asked.core)
    outcomes = _measure_all(chosen, asked, program, options)
    text = report.markdown(outcomes, options)
    print(text)
    print(f"saved: {report.save(outcomes, options, text)} and latest.json", file=sys.stderr)
    return int(any(result.problem for outcome in outcomes for result in outcome.results))


def _measure_all(
    chosen: Sequence[Scenario], asked: argparse.Namespace, program: generator.Generator, options: Options
) -> list[report.Outcome]:
    plans = [(scenario, *_participants(scenario, asked.only)) for scenario in chosen]
    for _, lanes, _ in plans:
        lanes += [replace(lane, suffix=f"{lane.suffix}-again") for lane in lanes if lane.label in asked.twice]
    outcomes = []
    bench = Bench(program, options, lambda _: None)
    with _progress(sum(bench.steps(scenario, lanes) for scenario, lanes, _ in plans)) as step:
        bench.progress = step
        for scenario, lanes, skipped in plans:
            results: list[LaneResult] = bench.measure(scenario, lanes) if lanes else []
            outcomes.append(report.Outcome(scenario=scenario, results=results, skipped=skipped))
    return outcomes


def _participants(scenario: Scenario, only: Sequence[str]) -> tuple[list[Lane], dict[str, str]]:
    """Return the lanes that can run, and why the others cannot. Lanes not asked for are not mentioned."""
    lanes, skipped = [], {}
    for lane in scenario.lanes:
        competitor = COMPETITORS[lane.competitor]
        if only and lane.competitor not in only and lane.label not in only:
            continue
        if competitor.find() is None:
            skipped[lane.label] = f"not found; install it or set {competitor.program.upper()}=/path"
        elif not competitor.can(routed=lane.names > 0):
            skipped[lane.label] = "cannot do this"
        else:
            lanes.append(lane)
    return lanes, skipped


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
    parser.add_argument("--seconds", type=float, help="seconds per lane and round; default 2.5")
    parser.add_argument("--connections", type=int, help="instead of the scenario's own number")
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="everything runs on this one")
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
    return asked


def _list(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _options(asked: argparse.Namespace) -> Options:
    rounds, seconds, size = (2, 0.8, GIB // 4) if asked.quick else (5, 2.5, GIB)
    return Options(
        rounds=asked.rounds or rounds,
        seconds=asked.seconds or seconds,
        warmup=0.3,
        bulk_bytes=size,
        proxy_core=asked.core,
        connections=asked.connections,
        descriptors=processes.raise_descriptor_limit(),
        late=asked.late,
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Make TERM unwind like ctrl-c, so that every child is ended."""
    raise KeyboardInterrupt


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Show what is running and how long it will take; plain lines without rich or without a terminal."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield _plain(steps)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(steps)
        return
    columns = (TextColumn("{task.description:36}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps)
        first = True

        def step(label: str) -> None:
            nonlocal first
            progress.update(task, description=label, advance=0 if first else 1)
            first = False

        yield step


def _plain(steps: int) -> Callable[[str], None]:
    done = 0

    def step(label: str) -> None:
        nonlocal done
        done += 1
        print(f"[{done}/{steps}] {label}", file=sys.stderr, flush=True)

    return step


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; every process was ended")
