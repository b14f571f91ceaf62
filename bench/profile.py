#!/usr/bin/env python3
"""Say what one operation of a scenario costs a proxy, and where: `make profile SCENARIO=connect [PROXY=nginx]`.

Prints system calls per operation, the shares of user space and kernel, instructions per operation, and writes a flame
graph under bench/results/. docs/profiling.md says how to read them. The work of each reading is a run of its own,
because looking slows down what is looked at.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import flames
import generator
import instructions
import processes
import tools
import watching
from competitors import COMPETITORS
from proxies import certificates
from results import errors_text
from scenarios import SCENARIOS, Lane, Scenario
from stage import Options, Stage, StartError, Up

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = {"strace": "strace", "perf": "linux-perf", "valgrind": "valgrind"}
MIB = 1 << 20
CORE_PATHS = {"connect": ["session_tls", "table_exact"], "idle": ["session_tls"], "kept": ["session_tcp"]}
"""What of the core takes part in a load, for machines that cannot count instructions of a process."""
ENGINE_PATHS = {
    "kept": ["engine_tcp_kept"],
    "http-kept": ["engine_http_minimal"],
    "http-browser": ["engine_http_browser", "engine_http_forwarded", "engine_http_recorded"],
}
"""What does all of a scenario's operation, kernel aside."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One scenario on a running proxy."""

    stage: Stage
    scenario: Scenario
    up: Up
    seconds: float

    @property
    def unit(self) -> str:
        """What one of it is called."""
        if self._order().total:
            return "MiB"
        return "connection" if self._holds else "operation"

    @property
    def _holds(self) -> bool:
        return self.scenario.load in ("idle", "http-idle")

    def run(self, seconds: float | None = None) -> float:
        """Do it once; return how many operations (connections, MiB) it was. Any error ends the program."""
        order = self._order(seconds)
        if self._holds:
            options = tools.hold_options(order, 512)
            with self.stage.generator.holding(self.up.port, options) as reports:
                pass
            report = reports[0]
        else:
            report = tools.run(self.scenario.tool, self.stage.generator, order)
        if report.errors or not report.operations_all:
            raise SystemExit(f"profile: the run is invalid: {errors_text(report.errors) or 'no operation'}")
        return report.bytes / MIB if order.total else report.operations_all

    def _order(self, seconds: float | None = None) -> tools.Order:
        order = self.stage.order(self.scenario, self.up, seconds=seconds or self.seconds)
        return replace(order, warmup=0.0)


def main() -> int:
    """Profile what was asked for."""
    asked = _arguments()
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == asked.scenario)
    lane = _lane(scenario, asked.proxy)
    missing = [program for program in PACKAGES if shutil.which(program) is None]
    for program in missing:
        print(f"profile: no {program}: install it with: apt-get install {PACKAGES[program]}", file=sys.stderr)
    stage = Stage(
        generator=generator.Generator(binary=generator.build(), core=asked.core),
        options=_options(asked),
        progress=lambda _label, _seconds: None,
    )
    with (
        stage.directory() as directory,
        stage.generator.origin(scenario.origin, everywhere=lane.servers > 1) as (port, _),
    ):
        try:
            with stage.proxy(scenario, lane, port, directory) as up:
                work = Work(stage=stage, scenario=scenario, up=up, seconds=asked.seconds)
                print(f"{lane.label}: {scenario.name}: {scenario.title}")
                work.run(0.3)
                _profile(work, missing)
        except StartError as error:
            raise SystemExit(f"profile: {lane.label} {error}") from error
    return 0


def _profile(work: Work, missing: list[str]) -> None:
    _cpu(work)
    parts: list[tuple[str, Callable[[Work, Path], None]]] = [
        ("strace", _system_calls),
        ("perf", _flames),
        ("perf", _instructions),
    ]
    with tempfile.TemporaryDirectory(prefix="headworks-profile-") as directory:
        for program, part in parts:
            if program not in missing:
                part(work, Path(directory))
    if "perf" in missing and "valgrind" not in missing:
        _core_instructions(work)


def _cpu(work: Work) -> None:
    pids = work.up.pids()
    before = watching.Cpu.read(pids)
    count = work.run()
    after = watching.Cpu.read(pids)
    user, kernel = after.user - before.user, after.kernel - before.kernel
    whole = max(user + kernel, 1e-9)
    print(f"\nCPU of the proxy: {whole / count * 1e6:.2f} us per {work.unit}")
    print(f"  user {user / whole:.0%}, kernel {kernel / whole:.0%}")


def _system_calls(work: Work, directory: Path) -> None:
    with watching.system_calls(work.up.pids(), directory) as calls:
        count = work.run(min(work.seconds, 1.0))
    total = sum(calls.counts.values())
    print(f"\nsystem calls: {total / count:.2f} per {work.unit} ({count:.0f} of them looked at)")
    for name, number in sorted(calls.counts.items(), key=lambda pair: -pair[1]):
        if number / count >= 0.005:
            failed = calls.errors.get(name, 0)
            remark = f"  of which {failed / count:.2f} failed" if failed / count >= 0.005 else ""
            print(f"  {number / count:8.2f}  {name}{remark}")


def _instructions(work: Work, directory: Path) -> None:
    with watching.instructions(work.up.pids(), directory) as counters:
        count = work.run()
    if not counters:
        print("\ninstructions: this machine does not count them (a virtual one, as a rule)")
        _core_instructions(work)
        return
    parts = ", ".join(f"{number / count:.0f} {event}" for event, number in counters.items())
    print(f"\ninstructions per {work.unit}: {parts}")


def _core_instructions(work: Work) -> None:
    """Count what the core takes part with, under valgrind; only ours can be looked into that way."""
    words = CORE_PATHS.get(work.scenario.load, [])
    whole = ENGINE_PATHS.get(work.scenario.name, [])
    if work.up.lane is None or work.up.lane.competitor != "headworks" or not (words or whole):
        return
    if shutil.which("valgrind") is None or shutil.which("cargo") is None:
        return
    print("  of our own, counted by valgrind in a program of its own:")
    program = instructions.build()
    counted = instructions.measure(program, words) if words else {}
    for name, number in (counted | (instructions.measure_engine(program, whole) if whole else {})).items():
        print(f"  {number:8.0f}  {name}")


def _flames(work: Work, directory: Path) -> None:
    with watching.stacks(work.up.pids(), directory) as printed:
        work.run()
    if not printed:
        print("\nflame graph: perf got no samples; kernel.perf_event_paranoid may forbid it")
        return
    stacks = flames.fold(printed[0])
    label = work.up.lane.label if work.up.lane else "direct"
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"flames-{label}-{work.scenario.name}.svg"
    file.write_text(flames.svg(stacks, f"{label}: {work.scenario.name}: {sum(stacks.values())} samples"))
    print(f"\nflame graph: {file.relative_to(RESULTS.parent.parent)}")
    for name, share in flames.leaves(stacks)[:12]:
        print(f"  {share:6.1%}  {name}")


def _lane(scenario: Scenario, proxy: str) -> Lane:
    lanes = [lane for lane in scenario.lanes if proxy in (lane.label, lane.competitor)]
    if not lanes:
        raise SystemExit(f"profile: {scenario.name} is run by {', '.join(lane.label for lane in scenario.lanes)}")
    competitor = COMPETITORS[lanes[0].competitor]
    if competitor.find() is None:
        raise SystemExit(f"profile: {proxy}: not found; install it or set {competitor.program.upper()}=/path")
    if not tools.found(scenario.tool):
        raise SystemExit(f"profile: {scenario.name} needs {scenario.tool}: make bench-deps")
    if scenario.https and not certificates.found():
        raise SystemExit(f"profile: {scenario.name} needs openssl: make bench-deps")
    if not competitor.can(scenario.protocol(lanes[0])):
        raise SystemExit(f"profile: {proxy} cannot do {scenario.name}")
    return lanes[0]


def _options(asked: argparse.Namespace) -> Options:
    return Options(
        rounds=1,
        seconds=asked.seconds,
        warmup=0.0,
        bulk_bytes=1 << 30,
        proxy_core=asked.core,
        connections=asked.connections,
        descriptors=processes.raise_descriptor_limit(),
        late=False,
    )


def _arguments() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenario", choices=names, metavar="SCENARIO", help=f"one of {', '.join(names)}")
    parser.add_argument("--proxy", default="headworks", help="a lane of the scenario; default headworks")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run; default 3")
    parser.add_argument("--connections", type=int, help="instead of the scenario's own number")
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="everything runs on this one")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("profile: interrupted; every process was ended")
