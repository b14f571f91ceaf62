"""The load generators: our own `load` (connections, checked bytes, open loop), and wrk and h2load for HTTP.

Owns how an Order becomes a command line and how each one's output becomes a Report. wrk and h2load are an independent
word about HTTP; both count answers that are no success and broken connections as errors.
"""

from __future__ import annotations

import json
import math
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import processes
from generator import Generator, Report
from scenarios import Request, Tool

BODY = 10 << 20
"""Bytes of a large HTTP body."""

BROWSER = {
    "Host": "www.shop.example",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://www.shop.example/catalogue/gardening/watering-cans",
    "Cookie": "session=0f5c2d9be1a84773b6aa5b8f2c9d1e07; basket=3f9a1c; consent=necessary",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Priority": "u=0, i",
}
"""What a browser sends: 12 fields, about 600 bytes with the request line."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a generator has to do. Seconds; `total` bytes when > 0 instead of a window; `rate` > 0 is an open loop."""

    port: int
    load: str
    connections: int
    seconds: float
    warmup: float
    total: int
    rate: float
    names_file: Path | None
    request: Request
    http: bool
    fresh: bool
    upload: bool
    late: bool
    certificate: Path | None = None
    """What the server presents; None: no TLS."""
    resumed: bool = False
    turns: bool = False
    """Whether all connections are used in turn; else the one that was used last."""
    depth: int = 1
    """Requests in one go, the next ones after all their answers; wrk alone can."""

    @property
    def patience(self) -> float:
        """How long a run may take at most."""
        return 60 + 4 * (self.seconds + self.warmup)


def found(tool: Tool) -> bool:
    """Whether a generator is there; our own is built when needed."""
    return tool == "load" or shutil.which(tool) is not None


def run(tool: Tool, generator: Generator, order: Order, *, begins: Callable[[], None] = lambda: None) -> Report:
    """Run a generator to its end. `begins` is called before the first operation; over TLS, when connections are made."""
    if tool == "load" and order.certificate:
        return generator.run(order.port, load_options(order), patience=order.patience, begins=begins)
    begins()
    if tool == "wrk":
        return _wrk(generator.core, order)
    if tool == "h2load":
        return _h2load(generator.core, order)
    return generator.run(order.port, load_options(order), patience=order.patience)


def load_options(order: Order) -> list[str]:
    """Return the options of `load run` for an order."""
    options = ["--scenario", order.load, "--connections", str(order.connections)]
    if order.names_file is not None:
        options += ["--names", str(order.names_file)]
    if order.certificate is not None:
        options += ["--tls", str(order.certificate)]
    if order.total and order.http:
        path = f"/bytes/{order.total // order.connections}"
        patience = f"{order.patience:.0f}"
        return [*options, "--path", path, "--requests", str(order.connections), "--patience", patience]
    if order.total:
        return [*options, "--bytes", str(order.total)]
    if order.late and order.load == "connect":
        options += ["--late", "1"]
    if order.http:
        options += ["--request", order.request]
        options += ["--fresh", "1"] if order.fresh else []
        options += ["--resumed", "1"] if order.resumed else []
    options += ["--turns", "1"] if order.turns else []
    if order.rate:
        options += ["--rate", f"{order.rate:.0f}"]
    return [*options, "--seconds", str(order.seconds), "--warmup", str(order.warmup)]


def hold_options(order: Order, count: int) -> list[str]:
    """Return the options of `load run` for holding `count` idle connections."""
    options = ["--scenario", order.load, "--connections", str(count)]
    options += ["--names", str(order.names_file)] if order.names_file else []
    return [*options, "--tls", str(order.certificate)] if order.certificate else options


def wrk_script(order: Order) -> str:
    """Return wrk's script: the fields of the request, and a report as one line of JSON."""
    fields = BROWSER if order.request == "browser" else {"Host": "www.bench.example"}
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join([*lines, *([_WRK_DEPTH.format(depth=order.depth)] if order.depth > 1 else [])]) + _WRK_DONE


_WRK_DEPTH = """
function init(args)
  asked = string.rep(wrk.format(), {depth})
end
function request()
  return asked
end"""
_WRK_DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "us": %d, "bytes": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, ' ..
    '"p50": %.1f, "p99": %.1f, "p99.9": %.1f, "max": %.1f}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
"""


def wrk_report(out: str, cpu: float) -> Report:
    """Read what the script printed."""
    try:
        said = json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return Report.failed("wrk: no report")
    kinds = ("connect", "read", "write", "status", "timeout")
    return Report(
        operations=said["requests"],
        operations_all=said["requests"],
        seconds=said["us"] / 1e6,
        rate=said["requests"] / (said["us"] / 1e6),
        bytes=said["bytes"],
        errors={f"wrk: {kind}": said[kind] for kind in kinds if said[kind]},
        latency_us={key: said[key] for key in ("p50", "p99", "p99.9", "max")},
        cpu_seconds=cpu,
    )


def h2load_report(out: str, cpu: float, *, requests: int, body: int) -> Report:
    """Read h2load's summary; fewer successes or bytes than asked for are errors."""
    took = re.search(r"finished in ([\d.]+)(us|ms|s|m),", out)
    counts = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
    moved = re.search(r"traffic: .*\) headers .*?, [\d.]+\w+ \((\d+)\) data", out)
    if took is None or counts is None or moved is None:
        return Report.failed("h2load: no report")
    seconds = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[took[2]]
    succeeded, failed, errored, late = map(int, counts.groups())
    errors = {"h2load: failed": failed, "h2load: errored": errored, "h2load: timeout": late}
    errors["h2load: no success"] = requests - succeeded
    errors["h2load: short answers"] = int(int(moved[1]) < requests * body)
    return Report(
        operations=succeeded,
        operations_all=succeeded,
        seconds=seconds,
        rate=succeeded / seconds,
        bytes=succeeded * BODY,
        errors={kind: count for kind, count in errors.items() if count > 0},
        latency_us={},
        cpu_seconds=cpu,
    )


def _wrk(core: int, order: Order) -> Report:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(wrk_script(order))
        script.flush()
        length = math.ceil(order.seconds)  # wrk takes whole seconds
        argv = ["wrk", "-t1", f"-c{order.connections}", f"-d{length}s", "-s", script.name]
        out, cpu = _ran([*argv, f"http://127.0.0.1:{order.port}/"], core, order.patience)
    return wrk_report(out, cpu)


def _h2load(core: int, order: Order) -> Report:
    requests = max(order.connections, order.total // BODY)
    argv = ["h2load", "--h1", "-t", "1", "-c", str(order.connections), "-n", str(requests)]
    url = f"http://127.0.0.1:{order.port}/"
    with tempfile.NamedTemporaryFile("wb", suffix=".body") as body:
        if order.upload:
            body.truncate(BODY)
            out, cpu = _ran([*argv, "-d", body.name, url], core, order.patience)
        else:
            out, cpu = _ran([*argv, f"{url}bytes/{BODY}"], core, order.patience)
    return h2load_report(out, cpu, requests=requests, body=0 if order.upload else BODY)


def _ran(argv: list[str], core: int, patience: float) -> tuple[str, float]:
    """Run to the end and return the output and the CPU seconds; nothing else of ours ends meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = processes.start(argv, core=core)
    try:
        out, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        out = ""
    finally:
        processes.stop(process)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return out, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
