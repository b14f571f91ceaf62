#!/usr/bin/env python3
"""Put a saved run into the documentation: `python bench/publish.py [latest.json]`.

Draws the charts into docs/performance/ and writes what stands in docs/performance.md between two markers: machine,
versions, ratios, and first of all where others are ahead. People's own code (`python-*`) has two markers of its own, as it is
often measured alone; what a run has nothing of stays as it was. It measures nothing and leaves the rest of the page alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import report

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- results: bench/publish.py writes from here -->", "<!-- results: to here -->"
PYTHON_BEGIN, PYTHON_END = (line.replace("results", "python results") for line in (BEGIN, END))
PYTHON = "python-"
"""How the names of scenarios with people's own code begin."""
CAPTIONS = {
    "tcp-cost.svg": "CPU for each operation of TCP and TLS work, by proxy",
    "http-cost.svg": "CPU for each HTTP request, by proxy",
    "https-cost.svg": "CPU of the proxy for each HTTPS request, by proxy",
    "bulk-cost.svg": "CPU for each GiB of bulk, by proxy",
    "memory.svg": "memory for each connection, by proxy",
    "latency.svg": "latency at one rate, by proxy",
    "reload.svg": "worst latency while reloading, by proxy",
}
BESIDE = {
    "added": ("rate",),
    "own": ("per CPU second", "rate"),
    "two": ("rate", "p99 µs"),
    "bulk": ("GiB/s",),
    "idle": ("all of it per connection",),
    "latency": ("p50 µs", "p99.9 µs", "at rate"),
    "slow": ("others' rate %",),
    "reload": ("failed", "reloads"),
    "consulted": ("worker µs", "Python µs", "most a second", "rate"),
    "alone": ("added p50 µs", "p50 µs", "p99 µs"),
}
"""What stands beside the number of each method."""
CLOSE = 1.02
"""A difference of less than this is called none: equals differ by as much."""


def main(arguments: Sequence[str]) -> int:
    """Publish the run named, or the latest."""
    saved = report.read(Path(arguments[0])) if arguments else report.read()
    page, drawn = DOCS / "performance.md", 0
    text = page.read_text()
    if (own := part(saved, python=True))["scenarios"]:
        text = renewed(text, results(own, []), python=True)
    if (rest := part(saved, python=False))["scenarios"]:
        import charts

        paths = charts.draw(rest, DOCS / "performance")
        text, drawn = renewed(text, results(rest, [path.name for path in paths])), len(paths)
    page.write_text(text)
    print(f"written: {page} and {drawn} charts")
    return 0


def part(saved: Mapping[str, Any], *, python: bool) -> dict[str, Any]:
    """Return the run with its scenarios of people's own code alone, or without them."""
    chosen = {name: one for name, one in saved["scenarios"].items() if name.startswith(PYTHON) == python}
    shown = {result["version"] for one in chosen.values() for result in one["results"]}
    versions = [line for line in saved["versions"] if line.partition(": ")[2] in shown]
    return {**saved, "scenarios": chosen, "versions": versions}


def renewed(page: str, section: str, *, python: bool = False) -> str:
    """Return the page with what stands between its markers replaced."""
    first, last = (PYTHON_BEGIN, PYTHON_END) if python else (BEGIN, END)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {first} and {last}")
    return f"{before}{first}\n\n{section.strip()}\n\n{last}{after}"


def results(saved: Mapping[str, Any], drawn: Sequence[str]) -> str:
    """Return the whole section as markdown."""
    parts = [_machine(saved), _ahead(saved), _missed(saved)]
    parts += [f"![{CAPTIONS[file]}](performance/{file})" for file in drawn]
    parts += ["\n".join(_scenario(name, scenario)) for name, scenario in saved["scenarios"].items()]
    return "\n\n".join(part for part in parts if part)


def losses(saved: Mapping[str, Any]) -> list[str]:
    """Return where another proxy costs less than Headworks (the floor is none), and where operations failed."""
    found = []
    for name, scenario in saved["scenarios"].items():
        if scenario["title"].endswith("against one of 10"):  # lanes of different tables are not rivals
            continue
        for result in scenario["results"]:
            ratio = result["ratio"]
            rival = not result["label"].startswith(("headworks", "floor", "direct"))
            if rival and ratio is not None and ratio * CLOSE < 1:
                found.append(f"`{name}`: {result['label']} takes {ratio:.2f} of what Headworks does")
            if result["label"] == "headworks" and result["extra"].get("failed"):
                found.append(f"`{name}`: {result['extra']['failed']} operations failed through Headworks")
    return found


def _machine(saved: Mapping[str, Any]) -> str:
    machine, options = saved["machine"], saved["options"]
    noisy = [name for name, scenario in saved["scenarios"].items() if scenario["foreign"] > report.NOISY]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}"
    how = f"{options['rounds']} rounds of {options['seconds']:g} s a lane"
    lines = [f"Measured {machine['when']} on {where}, congestion control {machine['congestion control']}; {how}.", ""]
    lines += [f"- {version}" for version in saved["versions"]]
    if noisy:
        names = ", ".join(f"`{name}`" for name in noisy)
        lines += [
            "",
            f"Other programs used more than {report.NOISY:.0%} of the cores during {names}: take these as rough.",
        ]
    return "\n".join(lines)


def _ahead(saved: Mapping[str, Any]) -> str:
    lost = losses(saved)
    if not lost:
        return "### Where others are ahead\n\nNowhere in this run."
    return "### Where others are ahead\n\n" + "\n".join(f"- {line}" for line in lost)


def _missed(saved: Mapping[str, Any]) -> str:
    missed = [
        f"- `{name}`: {target['measured']:.2f} against {target['against']}, at most {target['ratio']:g}"
        for name, scenario in saved["scenarios"].items()
        for target in scenario["targets"]
        if target["verdict"].startswith("miss")
    ]
    missed += [
        f"- `{name}`: {bound['subject']}, {bound['title']}: {report.number(bound['measured'])}, {report.limit(bound)}"
        for name, scenario in saved["scenarios"].items()
        for bound in scenario["bounds"]
        if bound["verdict"].startswith("miss")
    ]
    return "### Missed targets\n\n" + "\n".join(missed) if missed else ""


def _scenario(name: str, scenario: Mapping[str, Any]) -> Iterator[str]:
    """A table of ratios; the figures behind them stand beside, the noise below."""
    yield f"### `{name}`"
    yield ""
    yield f"{_sentence(scenario['title'])} {_sentence(report.METHODS[scenario['method']])}"
    yield ""
    valid = [r for r in scenario["results"] if r["value"] is not None and not r["problem"] and r["label"] != "direct"]
    by_cpu = ["by CPU"] if any(result["ratio_by_cpu"] for result in valid) else []
    beside = BESIDE[scenario["method"]]
    rows = [["", "ratio to Headworks", *by_cpu, scenario["unit"], "median", "best-worst", *beside]]
    for result in valid:
        ratios = [result["ratio"], *([result["ratio_by_cpu"]] if by_cpu else [])]
        shown = ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        spread = "" if result["low"] is None else f"{report.number(result['low'])}-{report.number(result['high'])}"
        figures = [report.number(result["value"]), report.number(result["median"]), spread]
        figures += [report.number(result["extra"].get(key)) for key in beside]
        rows.append([result["label"], *shown, *figures])
    if valid:
        yield report.grid(rows)
        yield ""
    if scenario["remarks"]:
        yield from (f"- {remark}" for remark in scenario["remarks"])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
