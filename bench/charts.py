"""Charts of a saved run, as SVG by matplotlib: what each proxy costs as a ratio to Headworks, and times as they are.

Reads what `report.py` wrote and nothing else. One colour a proxy in all charts; a line marks Headworks at 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

COLOURS = {
    "headworks": "#0b6fb8",
    "sniproxy": "#7f7f7f",
    "nginx": "#2ca02c",
    "nginx-mainline": "#98c379",
    "haproxy": "#d62728",
    "haproxy-newer": "#b23a48",
    "haproxy-splice": "#f08a8b",
    "haproxy-splice-auto": "#e5b3b3",
    "haproxy-splice-1m": "#8c1d1e",
    "envoy": "#b04fc4",
    "traefik": "#e08a1e",
    "caddy": "#12a5a5",
    "floor": "#c7c7c7",
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of several scenarios: those of one kind whose ratios may stand side by side."""

    file: str
    title: str
    axis: str
    methods: Sequence[str]
    http: bool | None = None


RATIOS = (
    Chart(
        file="tcp-cost.svg",
        title="TCP and TLS by name: CPU per operation",
        axis="cost as a ratio to Headworks (more is worse)",
        methods=("added", "two"),
        http=False,
    ),
    Chart(
        file="http-cost.svg",
        title="HTTP/1.1: CPU per request",
        axis="cost as a ratio to Headworks (more is worse)",
        methods=("added", "two"),
        http=True,
    ),
    Chart(
        file="https-cost.svg",
        title="HTTPS: CPU of the proxy per request",
        axis="cost as a ratio to Headworks (more is worse)",
        methods=("own",),
    ),
    Chart(
        file="bulk-cost.svg",
        title="Bulk: CPU seconds of the proxy per GiB",
        axis="cost as a ratio to Headworks (more is worse)",
        methods=("bulk",),
    ),
    Chart(
        file="memory.svg",
        title="Memory of the proxy per connection",
        axis="memory as a ratio to Headworks (more is worse)",
        methods=("idle", "slow"),
    ),
)


def draw(saved: Mapping[str, Any], directory: Path) -> list[Path]:
    """Draw every chart that the run has numbers for; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    # Text stays text, and the same numbers make the same file: a committed chart changes when its numbers do.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "headworks", "font.size": 10})
    figures = {chart.file: _ratios(saved, chart) for chart in RATIOS}
    figures |= {"latency.svg": _latency(saved), "reload.svg": _reload(saved)}
    drawn = [_saved(directory / file, figure) for file, figure in figures.items()]
    return [path for path in drawn if path is not None]


def ratios(saved: Mapping[str, Any], chart: Chart) -> dict[str, dict[str, float]]:
    """Return ratio by proxy by scenario, of what a chart shows; scenarios without Headworks have none."""
    found: dict[str, dict[str, float]] = {}
    for name, scenario in saved["scenarios"].items():
        if scenario["method"] not in chart.methods or chart.http not in (None, scenario["http"]):
            continue
        shown = {r["label"]: r["ratio"] for r in scenario["results"] if r["ratio"] is not None}
        if len(shown) > 1:
            found[name] = shown
    return found


def colour(label: str) -> str:
    """Return a proxy's colour; a variant (`nginx-100k`) has that of its proxy."""
    best = max((name for name in COLOURS if label.startswith(name)), key=len, default="floor")
    return COLOURS[best]


def _saved(path: Path, figure: Figure | None) -> Path | None:
    if figure is None:
        path.unlink(missing_ok=True)
        return None
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    return path


def _ratios(saved: Mapping[str, Any], chart: Chart) -> Figure | None:
    """Horizontal bars, a group for each scenario; a logarithmic axis, so that twice and half look alike."""
    groups = ratios(saved, chart)
    if not groups:
        return None
    bars = sum(len(group) for group in groups.values())
    figure = Figure(figsize=(8.5, 0.6 + 0.24 * bars + 0.35 * len(groups)))
    axes = figure.add_subplot()
    position, ticks = 0.0, []
    for group in groups.values():
        for label, ratio in group.items():
            axes.barh(position, ratio, color=colour(label), height=0.85)
            axes.text(ratio * 1.02, position, f" {label} {ratio:.2f}", va="center", fontsize=8)
            position += 1
        ticks.append(position - len(group) / 2 - 0.5)
        position += 1.2
    axes.axvline(1.0, color="black", linewidth=1, linestyle="--", zorder=3)
    _logarithmic(axes, [ratio for group in groups.values() for ratio in group.values()])
    axes.set_yticks(ticks, list(groups))
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel(chart.axis)
    _finish(axes, chart.title, saved)
    return figure


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(min(0.4, min(values) * 0.8), max(values) * 2.2)
    ticks = [
        tick
        for tick in (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 250, 1000, 4000)
        if axes.get_xlim()[0] <= tick <= max(values) * 1.5
    ]
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _latency(saved: Mapping[str, Any]) -> Figure | None:
    """p50, p99 and p99.9 of each proxy at one rate, in a panel for each scenario."""
    chosen = {name: s for name, s in saved["scenarios"].items() if s["method"] == "latency" and _valid(s)}
    if not chosen:
        return None
    figure = Figure(figsize=(8.5, 0.5 + sum(0.8 + 0.32 * len(_valid(s)) for s in chosen.values())))
    panels = figure.subplots(len(chosen), 1, squeeze=False, height_ratios=[len(_valid(s)) + 1 for s in chosen.values()])
    for axes, (name, scenario) in zip(panels[:, 0], chosen.items(), strict=True):
        valid = _valid(scenario)
        for row, result in enumerate(valid):
            points = [result["extra"]["p50 µs"], result["value"], result["extra"]["p99.9 µs"]]
            shade = "#555555" if result["label"] == "direct" else colour(result["label"])
            axes.plot(points, [row] * 3, color=shade, linewidth=2)
            for marker, point in zip("|os", points, strict=True):
                axes.plot(point, row, marker, color=shade)
        axes.set_yticks(range(len(valid)), [result["label"] for result in valid])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        rate = valid[0]["extra"]["at rate"]
        _finish(axes, f"{name}: at {rate:,.0f} a second", saved)
    panels[-1, 0].set_xlabel("microseconds; bar: median, circle: p99, square: p99.9 (less is better)")
    figure.tight_layout()
    return figure


def _reload(saved: Mapping[str, Any]) -> Figure | None:
    """The worst latency while reloading, with what failed."""
    chosen = {name: s for name, s in saved["scenarios"].items() if s["method"] == "reload" and _valid(s)}
    if not chosen:
        return None
    rows = [(name, result) for name, scenario in chosen.items() for result in _valid(scenario)]
    figure = Figure(figsize=(8.5, 0.8 + 0.3 * len(rows)))
    axes = figure.add_subplot()
    for row, (_, result) in enumerate(rows):
        worst = result["value"] / 1000
        failed = result["extra"]["failed"]
        axes.barh(row, worst, color=colour(result["label"]), height=0.8)
        axes.text(worst * 1.03, row, f"{worst:.1f} ms, {failed:.0f} failed", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{name} {result['label']}" for name, result in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    values = [result["value"] / 1000 for _, result in rows]
    axes.set_xlim(min(0.5, *values), max(values) * 6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("worst latency in milliseconds (less is better)")
    _finish(axes, "Reload every second under 1,000 operations a second", saved)
    return figure


def _valid(scenario: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [result for result in scenario["results"] if result["value"] is not None and not result["problem"]]


def _finish(axes: Axes, title: str, saved: Mapping[str, Any]) -> None:
    axes.set_title(f"{title}\n", loc="left", fontsize=11, fontweight="bold")
    facts = f"{saved['machine']['when']}, {saved['machine']['cpu']}, {saved['machine']['kernel']}"
    axes.text(0, 1.01, facts, transform=axes.transAxes, fontsize=7, color="#555555", va="bottom")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
