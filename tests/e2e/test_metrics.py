"""Every metric of the table is told by a proxy that has had traffic of every kind."""

import json
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headworks import Proxy, _engine
from rig.clients import connect, exactly
from rig.configs import Config, http
from rig.hello import client_hello
from rig.http_clients import Client, ask, get
from rig.http_origins import HttpOrigin
from rig.origins import Origin, echo, hangs
from rig.tls_clients import TlsClient
from rig.tls_configs import secured
from rig.tls_files import Pki
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]
MakeHttp = Callable[..., HttpOrigin]

SELDOM = {"headworks_resolver_failures_total"}
"""Metrics that tell of what did not happen here."""


def told(proxy: Proxy) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Labels and values by the names of the table."""
    table = {row["name"] for row in json.loads(_engine.metrics())}
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(proxy.metrics()):
        for sample in family.samples:
            name = sample.name if sample.name in table else re.sub(r"_(bucket|sum|count)$", "", sample.name)
            found.setdefault(name, []).append((sample.labels, sample.value))
    return found


@pytest.fixture
def metered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give an analyzer that lets everything pass."""
    (tmp_path / "metered.py").write_text(
        "import headworks\n\n\n"
        "class Passing(headworks.Analyzer):\n"
        "    def request(self, exchange):\n"
        "        return None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "metered:Passing"


def test_every_metric_is_told(start: Start, http_origin: MakeHttp, origin: MakeOrigin, pki: Pki, metered: str) -> None:
    app, raw = http_origin(), origin(echo)
    port = app.address.rpartition(":")[2]
    config = http({"address": app.address, "max_connections": 1}, listener={"analyzers": ["metered"]})
    config["analyzers"] = {"metered": {"python": metered}}
    config["listeners"] |= {
        "safe": {
            "bind": "127.0.0.1:0",
            "protocol": "https",
            "backend": "named",
            "tls": secured(pki.pem("a.test")),
            "rate_limit": {"requests": 1000, "per": "1s"},
        },
        "raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "raw"},
        "names": {"bind": "127.0.0.1:0", "protocol": "tls", "table": "sites"},
    }
    config["tables"] = {"sites": {"x.test": "raw"}}
    config["backends"] |= {"raw": {"servers": [raw.address]}, "named": {"servers": [f"localhost:{port}"]}}
    proxy = start(config)
    proxy.set_server("raw", raw.address, admin="drain")
    proxy.set_server("raw", raw.address, admin="ready")
    assert ask(proxy.address("web"), get()).status == 200
    with TlsClient(proxy.address("safe"), pki.client(alpn=("http/1.1",))) as client:
        assert client.ask(get()).status == 200
    with pytest.raises(ssl.SSLError), TlsClient(proxy.address("safe"), ssl.create_default_context()) as client:
        client.ask(get())
    for listener, sent in (("raw", b"x"), ("names", client_hello("x.test"))):
        with connect(proxy.address(listener)) as client:
            client.sendall(sent)
            assert exactly(client, 1)
    proxy.set_server("raw", raw.address, admin="drain")
    table = json.loads(_engine.metrics())
    wanted = {row["name"] for row in table} - SELDOM - {"headworks_backend_queue_duration_seconds"}
    found = until(lambda: None if wanted - (told_now := told(proxy)).keys() else told_now, "all are told")
    for row in table:
        for labels, _ in found.get(row["name"], []):
            assert labels.keys() - {"le"} == set(row["labels"])
    ended = "headworks_listener_ends_total"
    until(lambda: {labels["listener"] for labels, _ in told(proxy)[ended]} >= {"raw", "web", "safe"}, "all have ended")


def test_waiting_in_line_is_told(start: Start, origin: MakeOrigin) -> None:
    slow = origin(hangs)
    proxy = start(http({"address": slow.address, "max_connections": 1}))
    queue = {"backend": "app"}
    with Client(proxy.address("web")) as first, Client(proxy.address("web")) as second:
        first.send(get())
        until(lambda: proxy.connections(state="awaiting"))
        second.send(get())
        until(lambda: (queue, 1) in told(proxy)["headworks_backend_queue_length"])
        assert "headworks_backend_queue_duration_seconds" not in told(proxy)
        proxy.close_connections(row.id for row in proxy.connections(state="awaiting"))
        until(lambda: (queue, 0) in told(proxy)["headworks_backend_queue_length"])
        times = told(proxy)["headworks_backend_queue_duration_seconds"]
        assert ({"backend": "app", "le": "+Inf"}, 1) in times
