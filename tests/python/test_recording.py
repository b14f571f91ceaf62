"""Recordings: what is written while a proxy serves, and what is different when it is decided once more."""

import copy
import gzip
import json
import socket
from contextlib import closing

import pytest

import headworks
from headworks.recording import RecordingError, replay
from headworks.recording.fields import looked_at
from headworks.recording.reading import Reader
from headworks.testing import Client, Origins
from headworks.testing.sources import on_free_ports


@headworks.rule
def route(request: headworks.Request) -> headworks.Verdict | None:
    if request.cookies.get("group") == "beta" or request.headers.get("X-Team") == "blue":
        return headworks.route("other")
    return None


@pytest.fixture
def config():
    origins = Origins()
    yield {
        "listeners": {
            "web": {"bind": ":80", "protocol": "http", "table": "sites", "rules": [route]},
            "second": {"bind": ":81", "protocol": "http", "backend": "app"},
        },
        "tables": {"sites": {"a.example": "app", "old.example": {"redirect": {"to": "https"}}}},
        "backends": {"app": {"servers": origins().address}, "other": {"servers": origins().address}},
    }
    origins.close()


ASKED = [
    ("a.example", "/x?y=1", {"Cookie": "group=beta; id=secret-1", "X-Team": "red", "User-Agent": "none"}),
    ("a.example", "/x", {"Authorization": "Bearer secret-2", "X-Team": "blue"}),
    ("old.example", "/z", {"Cookie": "id=secret-1"}),
    ("c.example", "/", {}),
]


def recorded(config, path, **options):
    """Record what comes when every request is made once."""
    with headworks.Recording(on_free_ports(config), path, **options) as proxy, closing(Client()) as client:
        for host, target, headers in ASKED:
            client.get(proxy.address("web"), target, host=host, headers=headers)
            client.get(proxy.address("second"), target, host=host, headers=headers)
    return proxy


def lines(path):
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["day.hwrec", "day.hwrec.gz"])
def test_heads_and_decisions_are_recorded(config, tmp_path, name):
    path = tmp_path / name
    proxy = recorded(config, path, listeners=["web"])
    first, *entries, last = lines(path)
    assert first["headworks_recording"] == 1
    assert first["fields"] == ["content-length", "cookie", "x-team"]
    assert last == {"end": {"records": 4, "dropped": 0, "unread": 0}}
    assert proxy.written == 4
    one = entries[0]
    assert (one["host"], one["path"], one["method"], one["client"]) == ("a.example", "/x?y=1", "GET", "127.0.0.1")
    assert [name for name, _ in one["headers"]] == ["cookie", "x-team"]
    assert [entry["decided"].get("backend") for entry in entries] == ["app", "other", None, None]
    assert [entry["was"]["status"] for entry in entries] == [200, 200, 308, 421]
    assert one["was"]["backend"] == "other"
    assert path.stat().st_mode & 0o777 == 0o600


def test_cookies_and_what_authorizes_are_hashed(config, tmp_path):
    path = tmp_path / "day.hwrec"
    recorded(config, path, fields=["Authorization"])
    assert "secret" not in path.read_text()
    assert "beta" not in path.read_text()
    entries = [entry for entry in lines(path)[1:-1] if entry["listener"] == "web"]
    cookies = [value for entry in entries for name, value in entry["headers"] if name == "cookie"]
    assert [[pair.partition("=")[0] for pair in cookie.split("; ")] for cookie in cookies] == [["group", "id"], ["id"]]
    assert cookies[0].endswith(cookies[1])
    assert any(value.startswith("Bearer ") for entry in entries for name, value in entry["headers"])
    again = tmp_path / "again.hwrec"
    recorded(config, again)
    assert cookies[1] not in again.read_text()


def test_plain_is_plain(config, tmp_path):
    path = tmp_path / "day.hwrec"
    recorded(config, path, plain=True)
    assert "group=beta; id=secret-1" in path.read_text()
    assert lines(path)[1]["decided"]["backend"] == "other"


def test_the_same_configuration_decides_the_same(config, tmp_path):
    recorded(config, tmp_path / "day.hwrec")
    found = replay(tmp_path / "day.hwrec", config)
    assert (found.requests, found.changed, found.differences) == (8, 0, ())
    assert found.notes == ("hashed when recorded, and compared as hashes: cookie (record with --plain)",)


def changed(config, change, path):
    new = copy.deepcopy(config)
    change(new)
    return replay(path, new)


def test_what_would_be_different_is_told_by_kind(config, tmp_path):
    path = tmp_path / "day.hwrec"
    recorded(config, path, listeners=["web"], plain=True)

    def tables(new):
        new["tables"]["sites"] = {"a.example/x": "other", "*": "app"}

    found = changed(config, tables, path)
    told = {(one.kind, one.before, one.after): one.count for one in found.differences}
    assert told == {
        ("kind of target", "redirect", "backend"): 1,
        ("refused", "no_match", None): 1,
    }
    assert found.changed == 2
    assert found.differences[0].request() == "GET old.example/z from 127.0.0.1 to web"

    def no_rules(new):
        new["listeners"]["web"]["rules"] = []

    (one,) = changed(config, no_rules, path).differences
    assert (one.kind, one.before, one.after, one.count) == ("backend", "other", "app", 2)

    old, new = copy.deepcopy(config), copy.deepcopy(config)
    no_rules(old)
    no_rules(new)
    new["tables"]["sites"]["a.example/x"] = "app"
    (one,) = replay(path, new, against=old).differences
    assert (one.kind, one.before, one.after, one.count) == ("entry", "a.example", "a.example/x", 2)

    def head(new):
        new["backends"]["other"]["strip_prefix"] = "/x"

    (one,) = changed(config, head, path).differences
    assert (one.kind, one.before, one.after) == ("request line", "GET /x?y=1 HTTP/1.1", "GET /?y=1 HTTP/1.1")

    def fields(new):
        new["backends"]["other"]["request_headers"] = {"set": {"X-New": "{header.X-Absent}"}}

    found = changed(config, fields, path)
    assert [(one.kind, one.count) for one in found.differences] == [("fields", 2)]
    assert any("x-absent (record with --field)" in note for note in found.notes)

    def gone(new):
        new["listeners"]["other"] = new["listeners"].pop("web")

    (one,) = changed(config, gone, path).differences
    assert (one.kind, one.count) == ("listener", 4)


def test_the_server_is_compared_where_it_is_chosen_by_hash(config, tmp_path):
    path = tmp_path / "day.hwrec"
    config["backends"]["app"] = {"servers": ["127.0.0.1:1", "127.0.0.1:2"], "retries": 0}
    recorded(config, path, listeners=["second"])

    def others(new):
        new["backends"]["app"]["servers"] = ["127.0.0.1:3"]

    assert changed(config, others, path).changed == 0

    def hashed(new):
        new["backends"]["app"] |= {"servers": ["127.0.0.1:3"], "balance": "path_hash"}

    assert {one.kind for one in changed(config, hashed, path).differences} == {"server"}


def test_two_configurations_are_compared(config, tmp_path):
    recorded(config, tmp_path / "day.hwrec")
    new = copy.deepcopy(config)
    new["tables"]["sites"]["c.example"] = "app"
    assert replay(tmp_path / "day.hwrec", new, against=new).changed == 0
    assert replay(tmp_path / "day.hwrec", new, against=config).changed == 1


def test_a_running_proxy_is_recorded(config, tmp_path, headworks_proxy, client):
    proxy = headworks_proxy(config)
    tape = proxy.record(tmp_path / "day.hwrec", listeners=["web"])
    client.get(proxy.address("web"), "/x", host="a.example", headers={"X-Team": "blue"})
    proxy.recorded(1)
    tape.close()
    tape.close()
    client.get(proxy.address("web"), "/later", host="a.example")
    first, one, last = lines(tmp_path / "day.hwrec")
    assert (first["fields"], one["headers"], last["end"]["records"]) == ([], [], 1)
    with pytest.raises(KeyError):
        proxy.record(tmp_path / "other.hwrec", listeners=["nowhere"])


def test_kinds_and_first_hosts_are_recorded(tmp_path):
    origins = Origins()
    servers = {name: {"servers": origins().address} for name in ("app", "ssh", "other")}
    config = {
        "listeners": {
            "front": {
                "bind": "127.0.0.1:0",
                "protocol": "first_bytes",
                "fallback": "other",
                "first_bytes": {"http": {"table": "sites"}, "ssh": "ssh"},
            }
        },
        "tables": {"sites": {"a.example": "app"}},
        "backends": servers,
    }
    path = tmp_path / "recording"
    with headworks.Recording(config, path) as proxy:
        for sent in (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"SSH-2.0-x\r\n", b"EHLO x\r\n"):
            with socket.create_connection(proxy.address("front")) as client:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass
    origins.close()
    entries = [line for line in lines(path) if "decided" in line]
    assert [entry["decided"]["backend"] for entry in entries] == ["app", "ssh", "other"]
    assert [entry["was"]["backend"] for entry in entries] == ["app", "ssh", "other"]
    assert [(entry.get("kind"), entry.get("host")) for entry in entries] == [
        ("http", "a.example"),
        ("ssh", None),
        (None, None),
    ]


def test_a_reload_is_recorded_with_what_it_decides(config, tmp_path, client):
    path = tmp_path / "day.hwrec"
    config = on_free_ports(config)
    with headworks.Recording(config, path, listeners=["web"]) as proxy:
        client.get(proxy.address("web"), host="c.example")
        new = config.model_dump(exclude_unset=True)
        new["tables"]["sites"]["c.example"] = "app"
        while not proxy.written:
            pass
        proxy.reload(new)
        client.get(proxy.address("web"), host="c.example")
    assert [entry["decided"].get("backend") for entry in lines(path)[1:-1]] == [None, "app"]


def test_a_recording_is_never_written_over(config, tmp_path):
    path = tmp_path / "day.hwrec"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        recorded(config, path)
    assert path.read_text() == "precious"


def test_what_cannot_be_recorded_is_said(config, tmp_path):
    with pytest.raises(ValueError, match=r'no listener "wed".*did you mean "web"'):
        headworks.Recording(config, tmp_path / "x", listeners=["wed"])
    with pytest.raises(ValueError, match="not a name of a field"):
        headworks.Recording(config, tmp_path / "x", fields=["a b"])
    with pytest.raises(ValueError, match="more than the 32"):
        headworks.Recording(config, tmp_path / "x", fields=[f"x-{number}" for number in range(40)])


def test_a_long_field_fails_no_request(config, tmp_path, client):
    path = tmp_path / "day.hwrec"
    with headworks.Recording(on_free_ports(config), path, plain=True) as proxy:
        reply = client.get(proxy.address("web"), host="a.example", headers={"X-Team": "x" * 6000})
        assert reply.status == 200
    assert [len(value) for name, value in lines(path)[1]["headers"]] == [4096]


def test_fields_that_are_looked_at_are_found(config):
    from headworks.config.loaded import load

    config["backends"]["app"] |= {"balance": "header_hash", "hash_header": "X-Hashed", "affinity": {"cookie": "a"}}
    config["listeners"]["second"]["response_headers"] = {"set": {"X": "{header.X-Shown|url}"}}
    assert {"x-hashed", "cookie", "x-shown", "x-team"} <= set(looked_at(load(config)))


HEAD = '{"headworks_recording":1,"made":"x","fields":[],"hashed":true,"listeners":["web"]}\n'
ENTRY = '{"ts":"2026-01-02T03:04:05.678+00:00","listener":"web","host":"a.example","decided":{}}\n'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "1: it is no recording"),
        (b"[]\n", "1: it is no recording"),
        (b"\x00\xff\n", "damaged: not UTF-8"),
        (b'{"headworks_recording":2}\n', "version 2"),
        (b'{"headworks_recording":1}\n', "first line is damaged"),
        (HEAD.encode() + b"{}\n", "2: it is damaged: the line is no request"),
        (HEAD.encode() + b"[" * 100_000 + b"\n", "2: it is damaged"),
        (HEAD.encode() + b"x" * (1 << 21) + b"\n", "longer"),
        (HEAD.encode() + ENTRY.replace("2026-01", "2026-99").encode(), "it is damaged: "),
        (HEAD.encode() + ENTRY.replace("{}", '{},"client":"nobody"').encode(), "not an IP address"),
        (HEAD.encode() + ENTRY.replace("{}", '{},"headers":[["a",1]]').encode(), "no request"),
    ],
)
def test_a_damaged_recording_is_refused_with_its_line(config, tmp_path, content, reason):
    path = tmp_path / "bad.hwrec"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=reason):
        replay(path, config)


def test_a_recording_that_was_cut_off_counts_as_far_as_it_goes(config, tmp_path):
    path = tmp_path / "cut.hwrec"
    path.write_text(HEAD + ENTRY + ENTRY[:50])
    found = replay(path, config)
    assert found.requests == 1
    assert "cut off" in found.notes[0]
    packed = tmp_path / "cut.hwrec.gz"
    packed.write_bytes(gzip.compress((HEAD + ENTRY * 1000).encode())[:-30])
    reader = Reader(packed)
    assert 0 <= len(list(reader)) < 1001
    assert not reader.is_whole
    packed.write_bytes(b"no gzip at all")
    with pytest.raises(RecordingError, match="gzip"):
        Reader(packed)
