"""How results look: a table for people (terminal and markdown) and JSON for programs. Measures nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measure import LaneResult, Options
from scenarios import Scenario, Target

RESULTS = Path(__file__).resolve().parent / "results"
# A verdict is marked when others used more than this share of the core. A choice between two observations: two equal
# HAProxys differed by 30 % in new connections while others used 19 % of the core, and by 10 % while they used 3 %.
NOISY = 0.05
VALUE_TITLES = {"added": "added µs", "bulk": "CPU s/GiB", "idle": "bytes/conn"}

Rows = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A scenario and what its lanes came to, with those that could not take part."""

    scenario: Scenario
    results: list[LaneResult]
    skipped: dict[str, str]

    def find(self, label: str) -> LaneResult | None:
        """Return the valid result of a lane."""
        return next((r for r in self.results if r.label == label and r.valid), None)


def markdown(outcomes: Sequence[Outcome], options: Options) -> str:
    """Return the whole report."""
    parts = [_heading(options)]
    parts += [_scenario(outcome) for outcome in outcomes]
    parts.append("## Targets\n\n" + _grid(_target_rows(outcomes)))
    return "\n\n".join(parts) + "\n"


def save(outcomes: Sequence[Outcome], options: Options, text: str) -> Path:
    """Write results/latest.md and results/latest.json; return the former."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.md").write_text(text)
    content: dict[str, Any] = {
        "machine": _machine(),
        "options": asdict(options),
        "scenarios": {
            outcome.scenario.name: {
                "results": [asdict(result) for result in outcome.results],
                "skipped": outcome.skipped,
                "targets": [_judged(outcome, target) for target in outcome.scenario.targets],
            }
            for outcome in outcomes
        },
    }
    (RESULTS / "latest.json").write_text(json.dumps(content, indent=1) + "\n")
    return RESULTS / "latest.md"


def _heading(options: Options) -> str:
    machine = _machine()
    return (
        f"# Headworks bench\n\n{machine['when']}, {machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, "
        f"congestion control {machine['congestion control']}; {options.rounds} rounds of {options.seconds:g} s, "
        f"everything on core {options.proxy_core}"
    )


def _machine() -> dict[str, Any]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": len(models),
        "kernel": f"{platform.system()} {platform.release()}",
        "congestion control": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
    }


def _scenario(outcome: Outcome) -> str:
    lines = [f"## {outcome.scenario.name}: {outcome.scenario.title}", "", _grid(_result_rows(outcome)), ""]
    lines += [f"- {r.label}: {r.version}" for r in outcome.results if r.version]
    lines += [f"- {r.label}: **invalid**: {r.problem}" for r in outcome.results if r.problem]
    lines += [f"- {label}: skipped, {why}" for label, why in outcome.skipped.items()]
    lines += _noise(outcome.results)
    return "\n".join(lines)


def _noise(results: Sequence[LaneResult]) -> list[str]:
    """Say what others took of the core, because it is the first thing to look at when numbers look odd."""
    samples = [sample for result in results for sample in result.samples]
    if not samples:
        return []
    worst_steal, worst_foreign = (max(getattr(s, what) for s in samples) for what in ("steal", "foreign"))
    others = f"{_foreign(results):.1%} on average, {worst_foreign:.1%} at most"
    return [f"- core: stolen at most {worst_steal:.1%}; used by other processes and interrupts {others}"]


def _foreign(results: Sequence[LaneResult]) -> float:
    """Return the share of the core that others used, averaged over all runs."""
    shares = [sample.foreign for result in results for sample in result.samples]
    return sum(shares) / len(shares) if shares else 0.0


def _result_rows(outcome: Outcome) -> Rows:
    title = VALUE_TITLES[outcome.scenario.method]
    valid = [result for result in outcome.results if result.valid]
    extras = list(dict.fromkeys(key for result in valid for key in result.extra))
    has_cpu = any(result.cpu_value is not None for result in valid)
    rows = [["", title, "median", *(["added CPU µs"] if has_cpu else []), "ratio", *extras]]
    own = next((r for r in valid if r.label.startswith("headworks") and r.value), None)
    for result in valid:
        ratio = f"{result.value / own.value:.2f}" if own and own.value and result.value else ""
        cpu = [f"{result.cpu_value or 0:.2f}"] if has_cpu else []
        cells = [_number(result.extra[key]) if key in result.extra else "" for key in extras]
        rows.append([result.label, _number(result.value), _number(result.median), *cpu, ratio, *cells])
    return rows


def _target_rows(outcomes: Sequence[Outcome]) -> Rows:
    rows = [["work", "subject", "against", "measured", "by CPU", "at most", ""]]
    for outcome in outcomes:
        for target in outcome.scenario.targets:
            judged = _judged(outcome, target)
            shown = [f"{judged[key]:.2f}" if judged[key] is not None else "-" for key in ("measured", "by_cpu")]
            names = [outcome.scenario.name, target.subject, target.against]
            rows.append([*names, *shown, f"{target.ratio:g}", str(judged["verdict"])])
    return rows


def _judged(outcome: Outcome, target: Target) -> dict[str, Any]:
    """The measured ratio beside its target. "by CPU" is the same from CPU time: less upset by a busy machine."""
    subject, against = outcome.find(target.subject), outcome.find(target.against)
    measured = _ratio(subject.value, against.value) if subject and against else None
    by_cpu = _ratio(subject.cpu_value, against.cpu_value) if subject and against else None
    verdict = "not measured" if measured is None else "ok" if measured <= target.ratio else "miss"
    if measured is not None and _foreign(outcome.results) > NOISY:
        verdict += " (noisy)"
    return asdict(target) | {"measured": measured, "by_cpu": by_cpu, "verdict": verdict}


def _ratio(subject: float | None, against: float | None) -> float | None:
    return subject / against if subject is not None and against else None


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def _grid(rows: Rows) -> str:
    """A markdown table that also reads well as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join("-" * (width + 1) + (":" if i else "-") for i, width in enumerate(widths)) + "|"
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])
