"""Write what is made of the table of metrics: its page in the documentation, a dashboard for Grafana, and alerts.

``python tools/monitoring.py FILE`` replaces what follows the marker in ``docs/metrics.md``, or the whole of
``examples/monitoring/grafana.json`` and ``alerts.yml``; with ``--check`` it writes nothing and exits 1 when the file is
not up to date. Must never name a metric that the table does not have.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import renewing

from headworks import _engine

MARKER = "<!-- What follows is written by tools/monitoring.py from the engine's table of metrics: edit that. -->"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDE = 12
"""Columns of a panel: two stand side by side."""
HIGH = 8


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A graph: its title, its unit, and what is drawn with which legend."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A rule: when it fires, for how long it must hold, how bad it is, and what a reader is told."""

    name: str
    when: str
    lasting: str
    severity: str
    summary: str


def _rate(name: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({name}{more}[$__rate_interval]))"


def _quantile(part: float, name: str, by: str) -> str:
    return f"histogram_quantile({part}, sum by (le, {by}) (rate({name}_bucket[$__rate_interval])))"


def _times(name: str, by: str) -> tuple[tuple[str, str], ...]:
    return tuple((_quantile(part, name, by), f"{{{{{by}}}}} p{part * 100:.0f}") for part in (0.5, 0.99))


PANELS = {
    "Listeners": (
        Panel(
            title="Requests",
            unit="reqps",
            queries=((_rate("headworks_listener_requests_total", "listener"), "{{listener}}"),),
        ),
        Panel(
            title="Responses by class",
            unit="reqps",
            queries=((_rate("headworks_listener_responses_total", "code"), "{{code}}"),),
        ),
        Panel(
            title="Request duration",
            unit="s",
            queries=_times("headworks_listener_request_duration_seconds", "listener"),
        ),
        Panel(title="Ends", unit="ops", queries=((_rate("headworks_listener_ends_total", "end"), "{{end}}"),)),
        Panel(
            title="Connections",
            unit="short",
            queries=(("sum by (listener) (headworks_listener_connections_open)", "{{listener}}"),),
        ),
        Panel(
            title="Bytes",
            unit="Bps",
            queries=(
                (_rate("headworks_listener_received_bytes_total", "listener"), "{{listener}} in"),
                (_rate("headworks_listener_sent_bytes_total", "listener"), "{{listener}} out"),
            ),
        ),
        Panel(
            title="TLS handshakes",
            unit="ops",
            queries=(
                (_rate("headworks_listener_handshakes_total", "resumed"), "resumed: {{resumed}}"),
                (_rate("headworks_listener_handshake_failures_total", "reason"), "failed: {{reason}}"),
            ),
        ),
        Panel(
            title="Days until certificates end",
            unit="d",
            queries=(
                (
                    "min by (name) (headworks_certificate_not_after_timestamp_seconds - time()) / 86400",
                    "{{name}}",
                ),
            ),
        ),
    ),
    "Backends": (
        Panel(
            title="Requests",
            unit="reqps",
            queries=((_rate("headworks_backend_requests_total", "backend"), "{{backend}}"),),
        ),
        Panel(
            title="Servers that may be chosen",
            unit="short",
            queries=(("min by (backend) (headworks_backend_servers_usable)", "{{backend}}"),),
        ),
        Panel(
            title="Request duration",
            unit="s",
            queries=_times("headworks_backend_request_duration_seconds", "backend"),
        ),
        Panel(
            title="Connect duration",
            unit="s",
            queries=_times("headworks_backend_connect_duration_seconds", "backend"),
        ),
        Panel(
            title="Queue",
            unit="short",
            queries=(("sum by (backend) (headworks_backend_queue_length)", "{{backend}}"),),
        ),
        Panel(
            title="Retries",
            unit="ops",
            queries=((_rate("headworks_backend_retries_total", "backend"), "{{backend}}"),),
        ),
    ),
    "Servers": (
        Panel(
            title="Requests",
            unit="reqps",
            queries=((_rate("headworks_server_requests_total", "backend, server"), "{{backend}} {{server}}"),),
        ),
        Panel(
            title="Connects that failed",
            unit="ops",
            queries=((_rate("headworks_server_connect_failures_total", "backend, server"), "{{backend}} {{server}}"),),
        ),
    ),
    "Process": (
        Panel(
            title="Processors",
            unit="short",
            queries=(("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"),),
        ),
        Panel(title="Memory", unit="bytes", queries=(("process_resident_memory_bytes", "{{instance}}"),)),
        Panel(
            title="Descriptors",
            unit="percentunit",
            queries=(("process_open_fds / process_max_fds", "{{instance}}"),),
        ),
        Panel(
            title="Access records dropped",
            unit="ops",
            queries=(("rate(headworks_access_records_dropped_total[$__rate_interval])", "{{instance}}"),),
        ),
    ),
}

ALERTS = (
    Alert(
        name="HeadworksCertificateEnds",
        when="min by (instance, listener, name) (headworks_certificate_not_after_timestamp_seconds) - time()"
        " < 14 * 86400",
        lasting="10m",
        severity="warning",
        summary="The certificate for {{ $labels.name }} of listener {{ $labels.listener }} ends in less than 14 days.",
    ),
    Alert(
        name="HeadworksReloadRefused",
        when="headworks_config_last_reload_successful == 0",
        lasting="5m",
        severity="warning",
        summary="The last reload was refused: the configuration of before still runs.",
    ),
    Alert(
        name="HeadworksNoServer",
        when="headworks_backend_servers_usable == 0 and headworks_backend_servers > 0",
        lasting="1m",
        severity="critical",
        summary="No server of backend {{ $labels.backend }} may be chosen.",
    ),
    Alert(
        name="HeadworksErrors",
        when='sum by (instance, listener) (rate(headworks_listener_responses_total{code="5xx"}[5m]))'
        " / sum by (instance, listener) (rate(headworks_listener_requests_total[5m])) > 0.05",
        lasting="5m",
        severity="critical",
        summary="More than 5 % of the requests at listener {{ $labels.listener }} are answered with 5xx.",
    ),
    Alert(
        name="HeadworksQueues",
        when="headworks_backend_queue_length > 0",
        lasting="10m",
        severity="warning",
        summary="Requests have been waiting for a place at servers of backend {{ $labels.backend }} all the time.",
    ),
    Alert(
        name="HeadworksRecordsDropped",
        when="increase(headworks_access_records_dropped_total[10m]) > 0",
        lasting="0m",
        severity="warning",
        summary="Access records were dropped: the disk is full, or nobody reads them.",
    ),
    Alert(
        name="HeadworksNameFails",
        when="headworks_backend_name_failing == 1",
        lasting="10m",
        severity="warning",
        summary="The name {{ $labels.name }} of backend {{ $labels.backend }} has no good answer.",
    ),
    Alert(
        name="HeadworksDescriptors",
        when="process_open_fds / process_max_fds > 0.9",
        lasting="5m",
        severity="critical",
        summary="More than 90 % of the descriptors are in use: clients will wait to be accepted.",
    ),
)


def table() -> list[dict[str, Any]]:
    """Return the engine's table of metrics."""
    rows: list[dict[str, Any]] = json.loads(_engine.metrics())
    return rows


def names(expression: str) -> set[str]:
    """Return the names of metrics in an expression, as the table has them."""
    found = set(re.findall(r"\b(?:headworks|process)_\w+", expression))
    known = {row["name"] for row in table()}
    return {name if name in known else re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def expressions() -> Iterator[str]:
    """Yield every expression of the dashboard and of the alerts."""
    for panels in PANELS.values():
        for panel in panels:
            yield from (query for query, _ in panel.queries)
    yield from (alert.when for alert in ALERTS)


def page(text: str) -> str:
    """Return the page with its tables written anew."""
    parts = [renewing.below(MARKER, text)]
    for scope in ("process", "listener", "backend", "server"):
        parts.append(f"\n\n## {scope.capitalize()}\n\n| metric | kind | labels | says |\n|---|---|---|---|")
        for row in table():
            if row["scope"] == scope:
                labels = ", ".join(f"`{label}`" for label in row["labels"])
                parts.append(f"\n| `{row['name']}` | {row['kind']} | {labels} | {row['help']} |")
    return "".join(parts) + "\n"


def dashboard(_: str) -> str:
    """Return the dashboard."""
    shown: list[dict[str, Any]] = []
    top = 0
    for title, panels in PANELS.items():
        shown.append(_placed({"type": "row", "title": title, "collapsed": False, "panels": []}, 0, top, 2 * WIDE, 1))
        top += 1
        for number, panel in enumerate(panels):
            shown.append(_placed(_graph(panel), number % 2 * WIDE, top + number // 2 * HIGH, WIDE, HIGH))
        top += (len(panels) + 1) // 2 * HIGH
    for number, one in enumerate(shown, 1):
        one["id"] = number
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    whole = {
        "title": "Headworks",
        "uid": "headworks",
        "schemaVersion": 39,
        "tags": ["headworks"],
        "editable": True,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source]},
        "panels": shown,
    }
    return json.dumps(whole, indent=1) + "\n"


def alerts(_: str) -> str:
    """Return the alerts. Every scalar is written as JSON, which YAML takes as it is."""
    lines = ["# Written by tools/monitoring.py.", "groups:", "  - name: headworks", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.when)}",
            f"        for: {alert.lasting}",
            f"        labels: {{severity: {alert.severity}}}",
            f"        annotations: {{summary: {json.dumps(alert.summary)}}}",
        ]
    return "\n".join(lines) + "\n"


def _placed(panel: dict[str, Any], x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"gridPos": {"x": x, "y": y, "w": w, "h": h}, **panel}


def _graph(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for number, (query, legend) in enumerate(panel.queries)
    ]
    defaults = {"unit": panel.unit, "min": 0}
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


WRITERS = {"metrics.md": page, "grafana.json": dashboard, "alerts.yml": alerts}


if __name__ == "__main__":
    chosen = next((writer for name, writer in WRITERS.items() if any(word.endswith(name) for word in sys.argv)), page)
    sys.exit(renewing.run(__doc__, chosen))
