"""What the admin interface does with numbers of connections, refusals and metrics of the engine."""

import socket

import pytest
from typer.testing import CliRunner

from headworks.cli import app
from rig.admin import SECRETS, opened


@pytest.fixture
def door(raw, tmp_path):
    raw["listeners"]["strict"] = {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app", "deny": ["127.0.0.0/8"]}
    with opened(raw, tmp_path) as made:
        yield made


def connected(door):
    client = socket.create_connection(door.proxy.address("raw"), timeout=20)
    client.sendall(b"a")
    assert client.recv(1) == b"a"
    return client


def closed(client):
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_one_connection_is_closed(door):
    with connected(door) as one, connected(door) as other:
        rows = door.ask("GET", "/v1/connections").value["connections"]
        (number,) = [row["id"] for row in rows if row["client"].endswith(f":{one.getsockname()[1]}")]
        assert door.ask("DELETE", f"/v1/connections/{number}", token=SECRETS["eyes"]).status == 403
        assert door.ask("DELETE", f"/v1/connections/{number}").status == 204
        assert closed(one)
        assert door.ask("DELETE", f"/v1/connections/{number}").status == 404
        assert door.ask("DELETE", "/v1/connections/x").status == 404
        assert door.ask("DELETE", f"/v1/connections/{1 << 70}").status == 404
        other.sendall(b"b")
        assert other.recv(1) == b"b"


def test_many_are_closed_if_they_are_as_many_as_were_seen(door):
    with connected(door) as one, connected(door) as other:
        assert door.ask("DELETE", "/v1/connections").status == 400
        assert door.ask("DELETE", "/v1/connections?count=1").status == 409
        assert door.ask("DELETE", "/v1/connections?count=2&listener=none").value == {"closed": 0}
        assert door.ask("DELETE", "/v1/connections?count=2&listener=raw").value == {"closed": 2}
        assert closed(one)
        assert closed(other)
    assert [row["facts"]["after"] for row in door.ask("GET", "/v1/notices").value] == ["0 closed", "2 closed"]


def test_pages(door):
    with connected(door), connected(door):
        first = door.ask("GET", "/v1/connections?limit=1").value
        second = door.ask("GET", f"/v1/connections?limit=1&cursor={first['cursor']}").value
        found = first["connections"] + second["connections"]
        assert len({one["id"] for one in found}) == 2
        assert door.ask("GET", "/v1/connections?cursor=odd").status == 400


def test_refusals(door):
    with socket.create_connection(door.proxy.address("strict")) as client:
        assert closed(client)
    (row,) = door.ask("GET", "/v1/refusals").value
    assert (row["listener"], row["end"]) == ("strict", "denied")


def test_metrics(door, monkeypatch):
    told = door.ask("GET", "/metrics", tcp=True)
    assert told.status == 200
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"headworks_" in told.body
    opened_form = door.ask("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert opened_form.headers["content-type"].startswith("application/openmetrics-text")
    assert door.ask("GET", "/metrics?scope=odd").status == 400
    assert door.ask("GET", "/metrics", tcp=True, token=None).status == 401
    monkeypatch.setenv("HEADWORKS_TOKEN", SECRETS["eyes"])
    ran = CliRunner().invoke(app, ["metrics", "--scope", "listener", "--socket", f"http://127.0.0.1:{door.port}"])
    assert "headworks_listener_" in ran.output
    assert "headworks_server_" not in ran.output


def test_connections_are_killed_by_the_command(door, monkeypatch):
    monkeypatch.setenv("HEADWORKS_TOKEN", SECRETS["ops"])
    with connected(door) as client:
        words = ["connections", "--listener", "raw", "--kill", "--socket", f"http://127.0.0.1:{door.port}"]
        ran = CliRunner().invoke(app, words)
        assert ran.exit_code == 0, ran.output
        assert closed(client)
