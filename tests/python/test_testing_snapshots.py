"""Decisions as text, and snapshots of them."""

import pytest

from headworks.testing import decide, matches_snapshot, snapshots

pytest_plugins = ["pytester"]


@pytest.fixture
def config() -> dict:
    return {
        "listeners": {
            "web": {
                "bind": ":80",
                "protocol": "http",
                "backend": "app",
                "request_headers": {"set": {"X-Id": "{request.id}", "X-Who": "{client.address}"}},
            }
        },
        "backends": {"app": {"servers": ["127.0.0.1:8001", "127.0.0.1:8002"], "strip_prefix": "/api"}},
    }


TEXT = """\
listener: web (http)
client: 192.0.2.1
name: a.example
request: GET /api/x?y
backend: app
server: 127.0.0.1:8001

GET /x?y HTTP/1.1
Host: a.example
X-Forwarded-For: 192.0.2.1
X-Id: 00000000-0000-4000-8000-000000000000
X-Who: 192.0.2.1
"""


def test_the_text_of_a_decision_has_the_head_that_the_server_gets(config):
    decision = decide(config, host="a.example", path="/api/x?y", client="192.0.2.1")
    lines = decision.text().splitlines()
    assert [line for line in lines if not line.startswith("X-Forwarded")] == [
        line for line in TEXT.splitlines() if not line.startswith("X-Forwarded")
    ]
    assert decision.text() == decide(config, host="a.example", path="/api/x?y", client="192.0.2.1").text()


def test_the_head_is_the_one_that_a_server_gets(config, headworks_proxy, client):
    from headworks.testing import Origins

    origins = Origins()
    try:
        server = origins()
        config["backends"]["app"]["servers"] = [server.address]
        del config["listeners"]["web"]["request_headers"]["set"]["X-Id"]
        proxy = headworks_proxy(config)
        client.get(proxy.address("web"), "/api/x", host="a.example", headers={"X-Mine": "1", "TE": "gzip"})
        got = server.wait_for(1)[0]
        sent = [(name, value) for name, value in got.headers if name.lower() in ("x-mine", "te", "host", "x-who")]
        head = decide(
            proxy.config, host="a.example", path="/api/x", headers={"X-Mine": "1", "TE": "gzip"}, client="127.0.0.1"
        ).head
        assert head is not None
        assert head.startswith(f"{got.method} {got.path} HTTP/1.1\r\n")
        for name, value in sent:
            assert f"\r\n{name}: {value}\r\n" in head
        assert ("TE", "gzip") not in sent
        assert "TE: gzip" not in head
    finally:
        origins.close()


def test_who_gets_to_no_server_has_no_head(config):
    config["listeners"]["web"]["deny"] = ["10.0.0.0/8"]
    decision = decide(config, host="a.example", client="10.0.0.1")
    assert decision.head is None
    assert decision.text().endswith("refused: denied (403)\n")


def test_odd_bytes_of_a_head_are_escaped(config):
    text = decide(config, host="a.example", headers={"X-Odd": "a\u00e9\u001b"}).text()
    assert text.isascii()
    assert "\u001b" not in text


def test_snapshots_are_compared_and_written(config, tmp_path, monkeypatch):
    decision, file = decide(config, host="a.example"), tmp_path / "below" / "a.txt"
    with pytest.raises(AssertionError, match="there is no snapshot"):
        matches_snapshot(decision, file)
    assert not file.exists()
    monkeypatch.setattr(snapshots, "is_updating", True)
    assert matches_snapshot(decision, file)
    monkeypatch.setattr(snapshots, "is_updating", False)
    assert matches_snapshot(decision, file)
    assert file.read_text() == decision.text()
    with pytest.raises(AssertionError, match=r"(?s)-request: GET /\n.*request: GET /other"):
        matches_snapshot(decide(config, host="a.example", path="/other"), file)


def test_the_option_writes_them_beside_the_tests(pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(
        """
from headworks.testing import decide, matches_snapshot

def test_it():
    config = {"listeners": {"web": {"bind": ":80", "protocol": "http", "respond": {"status": 404}}}}
    assert matches_snapshot(decide(config, host="a.example"), "snapshots/a.txt")
"""
    )
    pytester.runpytest_subprocess(timeout=60).assert_outcomes(failed=1)
    pytester.runpytest_subprocess("--headworks-update", timeout=60).assert_outcomes(passed=1)
    assert "404" in (pytester.path / "snapshots" / "a.txt").read_text()
    pytester.runpytest_subprocess(timeout=60).assert_outcomes(passed=1)
