"""What a run says: rows of a table, the same as markdown, and JSON for programs. Measures nothing, draws nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from results import LaneResult, Outcome
from scenarios import Bound, Target
from stage import Options

RESULTS = Path(__file__).resolve().parent / "results"
# A verdict is marked when others used more than this share of the core. A choice between two observations: two equal
# HAProxys differed by 30 % in new connections while others used 19 % of the core, and by 10 % while they used 3 %.
NOISY = 0.05
VALUE_TITLES = {
    "added": "added µs",
    "own": "proxy CPU µs",
    "two": "proxy CPU µs",
    "bulk": "CPU s/GiB",
    "idle": "bytes/conn",
    "latency": "p99 µs",
    "skew": "p99 µs",
    "slow": "bytes/conn",
    "reload": "worst µs",
    "consulted": "CPU µs each",
    "alone": "added p99 µs",
}
METHODS = {
    "added": "one core for everything: CPU added per operation",
    "own": "one core for everything: the proxy's own CPU per operation",
    "two": "two cores: the proxy's own CPU per operation",
    "bulk": "one core for everything: CPU seconds of the proxy per GiB",
    "idle": "memory of the proxy per connection",
    "latency": "two cores, open loop: 99th percentile at the same rate for all",
    "skew": "p99 of whoever fares worse, busy connections or others, with two workers; `to even`: against the same rate "
    "on all connections in turn; both cores.",
    "slow": "two cores: memory of the proxy per connection whose client reads slowly",
    "reload": "two cores, open loop: worst latency while reloading",
    "consulted": "CPU of the proxy for each consultation, both sides: what it takes more than the same listener without "
    "such code; both cores. `worker µs` and `Python µs` are its sides, `most a second` what the slower one allows",
    "alone": "what the 99th percentile is more than that of the same listener without such code, one request at a time; both "
    "cores",
}

Rows = list[list[str]]


def markdown(outcomes: Sequence[Outcome], options: Options) -> str:
    """Return the whole report."""
    parts = [f"# Headworks bench\n\n{heading(options)}", "\n".join(f"- {line}" for line in versions(outcomes))]
    for outcome in outcomes:
        lines = [f"## {outcome.scenario.name}: {outcome.scenario.title}", ""]
        lines += [METHODS[outcome.scenario.method], "", grid(result_rows(outcome)), ""]
        parts.append("\n".join(lines + [f"- {remark}" for remark in remarks(outcome)]))
    parts.append("## Targets\n\n" + grid(target_rows(outcomes)))
    return "\n\n".join(parts) + "\n"


def save(outcomes: Sequence[Outcome], options: Options) -> Path:
    """Write results/latest.md and results/latest.json; return the former."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.md").write_text(markdown(outcomes, options))
    (RESULTS / "latest.json").write_text(json.dumps(content(outcomes, options), indent=1) + "\n")
    return RESULTS / "latest.md"


def read(path: Path = RESULTS / "latest.json") -> dict[str, Any]:
    """Return what a run saved."""
    saved: dict[str, Any] = json.loads(path.read_text())
    return saved


def content(outcomes: Sequence[Outcome], options: Options) -> dict[str, Any]:
    """Return everything as JSON has it."""
    return {
        "machine": machine(),
        "versions": versions(outcomes),
        "options": asdict(options),
        "scenarios": {
            outcome.scenario.name: {
                "title": outcome.scenario.title,
                "method": outcome.scenario.method,
                "tool": outcome.scenario.tool,
                "http": outcome.scenario.http,
                "unit": VALUE_TITLES[outcome.scenario.method],
                "results": [
                    asdict(result)
                    | {"ratio": _to_own(outcome, result), "ratio_by_cpu": _to_own(outcome, result, by_cpu=True)}
                    for result in outcome.results
                ],
                "skipped": outcome.skipped,
                "foreign": outcome.foreign,
                "remarks": remarks(outcome),
                "targets": [judged(outcome, target) for target in outcome.scenario.targets],
                "bounds": [held(outcome, bound) for bound in outcome.scenario.bounds],
            }
            for outcome in outcomes
        },
    }


def heading(options: Options) -> str:
    """Return one line about the machine and the run."""
    facts = machine()
    other = f"; what needs two cores has the load on core {options.load_core}" if options.load_core >= 0 else ""
    return (
        f"{facts['when']}, {facts['cpu']}, {facts['cores']} cores, {facts['kernel']}, "
        f"congestion control {facts['congestion control']}; {options.rounds} rounds of {options.seconds:g} s, "
        f"everything on core {options.proxy_core}{other}"
    )


def machine() -> dict[str, Any]:
    """Return what figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": len(models),
        "kernel": f"{platform.system()} {platform.release()}",
        "congestion control": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
    }


def versions(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what each proxy says of its version, once."""
    found: dict[str, str] = {}
    for result in (result for outcome in outcomes for result in outcome.results if result.version):
        found.setdefault(result.version, f"{result.label}: {result.version}")
    return list(found.values())


def remarks(outcome: Outcome) -> list[str]:
    """Return what a reader must know beside the numbers: what is invalid or skipped, and the noise."""
    lines = [f"{r.label}: **invalid**: {r.problem}" for r in outcome.results if r.problem]
    lines += [f"{label}: skipped, {why}" for label, why in outcome.skipped.items()]
    return lines + _noise(outcome)


def _noise(outcome: Outcome) -> list[str]:
    """Say what others took of the core, because it is the first thing to look at when numbers look odd."""
    samples = [sample for result in outcome.results for sample in result.samples]
    if not samples:
        return []
    worst_steal, worst_foreign = (max(getattr(s, what) for s in samples) for what in ("steal", "foreign"))
    others = f"{outcome.foreign:.1%} on average, {worst_foreign:.1%} at most"
    return [f"core: stolen at most {worst_steal:.1%}; used by other processes and interrupts {others}"]


def result_rows(outcome: Outcome) -> Rows:
    """Return the table of a scenario: the ratio to Headworks first, then the figures behind it."""
    title = VALUE_TITLES[outcome.scenario.method]
    valid = [result for result in outcome.results if result.valid]
    extras = list(dict.fromkeys(key for result in valid for key in result.extra))
    has_cpu = any(result.cpu_value is not None for result in valid)
    rows = [["", "ratio", *(["by CPU"] if has_cpu else []), title, "median", "best-worst"]]
    rows[0] += [*(["added CPU µs"] if has_cpu else []), *extras]
    for result in valid:
        ratios = [_shown(_to_own(outcome, result))]
        ratios += [_shown(_to_own(outcome, result, by_cpu=True))] if has_cpu else []
        spread = f"{number(result.low)}-{number(result.high)}" if result.low is not None else ""
        cells = [f"{result.cpu_value or 0:.2f}"] if has_cpu else []
        cells += [number(result.extra[key]) if key in result.extra else "" for key in extras]
        rows.append([result.label, *ratios, number(result.value), number(result.median), spread, *cells])
    return rows


def target_rows(outcomes: Sequence[Outcome]) -> Rows:
    """Return the table of targets."""
    rows = [["work", "subject", "against", "measured", "by CPU", "target", ""]]
    for outcome in outcomes:
        for target in outcome.scenario.targets:
            found = judged(outcome, target)
            shown = [f"{found[key]:.2f}" if found[key] is not None else "-" for key in ("measured", "by_cpu")]
            names = [outcome.scenario.name, target.subject, target.against]
            rows.append([*names, *shown, f"{target.ratio:g}", str(found["verdict"])])
        for bound in outcome.scenario.bounds:
            found = held(outcome, bound)
            names = [outcome.scenario.name, bound.subject, found["title"]]
            rows.append([*names, number(found["measured"]), "", limit(found), str(found["verdict"])])
    return rows


def held(outcome: Outcome, bound: Bound) -> dict[str, Any]:
    """The measured figure beside its bound."""
    subject = outcome.find(bound.subject)
    measured = (
        None if subject is None else subject.value if bound.figure == "value" else subject.extra.get(bound.figure)
    )
    title = VALUE_TITLES[outcome.scenario.method] if bound.figure == "value" else bound.figure
    kept = measured is not None and (bound.least or measured) <= measured <= (bound.most or measured)
    verdict = "not measured" if measured is None else "ok" if kept else "miss"
    if measured is not None and outcome.foreign > NOISY:
        verdict += " (noisy)"
    return asdict(bound) | {"title": title, "measured": measured, "verdict": verdict}


def limit(found: Mapping[str, Any]) -> str:
    """Say how much, or how little, a figure may be."""
    if found["most"] is not None:
        return f"at most {number(found['most'])}"
    return f"at least {number(found['least'])}"


def judged(outcome: Outcome, target: Target) -> dict[str, Any]:
    """The measured ratio beside its target. "by CPU" is the same from CPU time: less upset by a busy machine."""
    subject, against = outcome.find(target.subject), outcome.find(target.against)
    measured = _ratio(subject.value, against.value) if subject and against else None
    by_cpu = _ratio(subject.cpu_value, against.cpu_value) if subject and against else None
    verdict = "not measured" if measured is None else "ok" if measured <= target.ratio else "miss"
    if measured is not None and outcome.foreign > NOISY:
        verdict += " (noisy)"
    return asdict(target) | {"measured": measured, "by_cpu": by_cpu, "verdict": verdict}


def _to_own(outcome: Outcome, result: LaneResult, *, by_cpu: bool = False) -> float | None:
    """Return what a lane costs in terms of Headworks; 2 is twice as much."""
    # What others are held against may be nothing: a base adds nothing to itself.
    own = next((r for r in outcome.results if r.valid and r.value and r.label.startswith("headworks")), None)
    if own is None or not result.valid:
        return None
    return _ratio(result.cpu_value, own.cpu_value) if by_cpu else _ratio(result.value, own.value)


def _shown(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _ratio(subject: float | None, against: float | None) -> float | None:
    """Return a ratio; none where noise has made a cost nothing or less."""
    if subject is None or against is None or subject <= 0 or against <= 0:
        return None
    return subject / against


def number(value: float | None) -> str:
    """Return a number with three digits or so."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def grid(rows: Rows) -> str:
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
