#!/usr/bin/env python3
"""Count the instructions of the paths of core and engine and compare them with bench/guard/baseline.toml: `make bench-guard`.

Callgrind counts what a path executes, which is the same on a busy and on a quiet machine. It depends on the compiler,
the target and the C library, though: a baseline made with others says nothing, and the comparison is skipped.
`make bench-guard UPDATE=1` makes a new one. Must not measure time.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent / "guard"
BASELINE = HERE / "baseline.toml"
TOLERANCE = 0.05
"""A path may need this share more instructions than its baseline."""
FEW = 100
"""Operations of the shorter run of a path of the engine."""
REPEATS = 3
"""Runs of a path of the engine, of which the one with the fewest instructions counts."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """What instructions depend on besides our code."""

    rustc: str
    target: str
    libc: str

    @classmethod
    def here(cls) -> Maker:
        """Ask this machine."""
        said = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
        libc = " ".join(platform.libc_ver()).strip() or "?"
        return cls(rustc=said.splitlines()[0], target=_field(said, "host"), libc=libc)

    def differences(self, other: Maker) -> list[str]:
        """Say in which points another one differs from this one."""
        return [
            f"{what}: the baseline has {ours}, here is {vars(other)[what]}"
            for what, ours in vars(self).items()
            if ours != vars(other)[what]
        ]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Instructions per operation of each path, and what made them."""

    maker: Maker
    instructions: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> Baseline:
        """Read a baseline file."""
        raw = tomllib.loads(text)
        return cls(maker=Maker(**raw["made_with"]), instructions=raw["instructions"])

    def text(self) -> str:
        """Write it."""
        lines = [
            "# Instructions per operation of the paths of core and engine. Made by `make bench-guard UPDATE=1`; docs/profiling.md.",
            "[made_with]",
            *(f'{name} = "{value}"' for name, value in vars(self.maker).items()),
            "",
            "[instructions]",
            *(f"{name} = {count:.1f}" for name, count in sorted(self.instructions.items())),
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one path."""

    name: str
    before: float | None
    now: float | None

    @property
    def change(self) -> float:
        """Share of instructions that came (or, below 0, went); 0 for a path of one side only."""
        return self.now / self.before - 1 if self.now and self.before else 0.0

    @property
    def problem(self) -> str:
        """Why it fails, or nothing."""
        if self.before is None:
            return "has no baseline"
        if self.now is None:
            return "is in the baseline only"
        return f"needs more than {TOLERANCE:.0%} more" if self.change > TOLERANCE else ""

    def line(self) -> str:
        """Say it in one line."""
        counts = ["-" if count is None else f"{count:.0f}" for count in (self.before, self.now)]
        change = f"{self.change:+.1%}" if self.before and self.now else ""
        remark = self.problem or ("better: UPDATE=1 keeps it" if self.change < -TOLERANCE else "")
        return f"{self.name:28} {counts[0]:>9} {counts[1]:>9} {change:>8}  {remark}".rstrip()


def judge(baseline: Mapping[str, float], now: Mapping[str, float]) -> list[Verdict]:
    """Compare, in the order of names; a path of one side only is a problem, too."""
    names = sorted({*baseline, *now})
    return [Verdict(name=name, before=baseline.get(name), now=now.get(name)) for name in names]


def per_operation(printed: str, totals: Sequence[int]) -> dict[str, float]:
    """Bring the program's lines (`NAME TIMES`) and callgrind's totals, both in the order of the paths, together."""
    lines = [line.split() for line in printed.splitlines()]
    if len(lines) != len(totals):
        raise ValueError(f"{len(lines)} paths, but {len(totals)} totals")
    return {name: total / int(times) for (name, times), total in zip(lines, totals, strict=True)}


def total_of(text: str) -> int:
    """Return the instructions that one record of callgrind sums up to."""
    found = re.search(r"^(?:totals|summary): (\d+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError("callgrind wrote no total")
    return int(found[1])


def measure(program: Path, words: Sequence[str] = ()) -> dict[str, float]:
    """Run paths of the core (those with one of `words` in their names; none: all); return instructions per operation."""
    inside = "guard::measured"
    with tempfile.TemporaryDirectory(prefix="headworks-guard-") as directory:
        argv = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={inside}"]
        argv += [f"--dump-after={inside}", str(program), "core", *words]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=directory)
        if ran.returncode != 0:
            raise SystemExit(f"bench-guard: the paths did not run to their end\n{ran.stderr}")
        # callgrind.out.PID.NUMBER, and callgrind.out.PID for what came after the last one.
        records = sorted(Path(directory).glob("callgrind.out.*.*"), key=lambda record: int(record.suffix[1:]))
        return per_operation(ran.stdout, [total_of(record.read_text()) for record in records])


def measure_engine(program: Path, wanted: Sequence[str] = ()) -> dict[str, float]:
    """Run the engine's paths (those `wanted`; none: all), and return instructions per operation of its threads.

    Each runs longer and shorter, so that what is done once falls out of the difference. What is read and written in one
    turn of the worker in most runs may take two in another one, which costs more: the least of some runs counts.
    """
    listed = subprocess.run([program, "engine"], capture_output=True, text=True, check=True).stdout.splitlines()
    paths = {name: int(times) for name, times in (line.split() for line in listed)}
    return {
        name: (_least_total(program, name, times + FEW) - _least_total(program, name, FEW)) / times
        for name, times in paths.items()
        if not wanted or name in wanted
    }


def _least_total(program: Path, name: str, times: int) -> int:
    return min(_threads_total(program, name, times) for _ in range(REPEATS))


def _threads_total(program: Path, name: str, times: int) -> int:
    with tempfile.TemporaryDirectory(prefix="headworks-guard-") as directory:
        argv = ["valgrind", "--tool=callgrind", "--separate-threads=yes", str(program), "engine", name, str(times)]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=directory)
        if ran.returncode != 0:
            raise SystemExit(f"bench-guard: {name} did not run to its end\n{ran.stderr}")
        # callgrind.out.PID-THREAD; the first thread plays client and origin.
        records = [record for record in Path(directory).glob("callgrind.out.*-*") if not record.name.endswith("-01")]
        return sum(total_of(record.read_text()) for record in records)


def build() -> Path:
    """Build the program (nothing happens when it is fresh) and return its path."""
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", str(HERE / "Cargo.toml")]
    subprocess.run(command, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release" / "guard"


def main() -> int:
    """Compare (1: a path fails), or update."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--update", action="store_true", help="make a new baseline")
    asked = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("bench-guard: SKIPPED: there is no valgrind. Install it with: apt-get install valgrind")
        return int(asked.update)
    maker = Maker.here()
    baseline = Baseline.parse(BASELINE.read_text()) if BASELINE.exists() else Baseline(maker=maker, instructions={})
    if not asked.update and (differences := baseline.maker.differences(maker)):
        print("bench-guard: SKIPPED: instructions do not compare", *differences, sep="\n  ")
        print("  make a baseline of your own, before your change, with: make bench-guard UPDATE=1")
        return 0
    program = build()
    now = measure(program) | measure_engine(program)
    verdicts = judge(baseline.instructions, now)
    print(f"{'instructions per operation':28} {'baseline':>9} {'now':>9}")
    print("\n".join(verdict.line() for verdict in verdicts))
    if asked.update:
        BASELINE.write_text(Baseline(maker=maker, instructions=now).text())
        print(f"bench-guard: written: {BASELINE.relative_to(HERE.parent.parent)}")
        return 0
    failed = [verdict.name for verdict in verdicts if verdict.problem]
    if failed:
        print(f"bench-guard: FAILED: {', '.join(failed)}. If that is meant: make bench-guard UPDATE=1, and say why")
    return int(bool(failed))


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
    return found[1] if found else "?"


if __name__ == "__main__":
    sys.exit(main())
