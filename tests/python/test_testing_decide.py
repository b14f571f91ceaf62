"""Decisions about one request, without a socket."""

import pytest

import headworks
from headworks.testing import decide


@pytest.fixture
def config() -> dict:
    return {
        "listeners": {"web": {"bind": ":80", "protocol": "http", "table": "sites", "deny": ["10.0.0.0/8"]}},
        "tables": {"sites": {"a.example/api": "api", "a.example": "app", "old.example": {"redirect": {"to": "https"}}}},
        "backends": {"api": {"servers": "127.0.0.1:8001"}, "app": {"servers": "127.0.0.1:8002"}},
    }


def test_the_only_listener_decides(config):
    decision = decide(config, host="a.example", path="/api/users?x=1")
    assert (decision.listener, decision.entry, decision.backend) == ("web", "a.example/api", "api")
    assert decision.server == "127.0.0.1:8001"
    assert decision.steps


def test_a_request_is_decided_as_it_is(config):
    request = headworks.Request(target="/api", headers={"Host": "A.example:80"}, client="192.0.2.1")
    assert decide(config, request).backend == "api"
    assert decide(config, request, path="/").backend == "app"
    assert decide(config, request, host="old.example").target == "redirect"


def test_what_is_refused_says_why(config):
    assert decide(config, host="c.example").refusal == "no_match"
    refused = decide(config, headworks.Request(headers={"Host": "a.example"}, client="10.1.2.3"))
    assert refused.refusal is not None
    assert refused.backend is None


def test_decisions_are_those_of_a_running_proxy(config, headworks_proxy, client):
    proxy = headworks_proxy(config)
    for host, path in (("c.example", "/"), ("old.example", "/x?y")):
        foreseen = decide(proxy.config, host=host, path=path)
        reply = client.get(proxy.address("web"), path, host=host)
        assert reply.status == foreseen.status
        assert reply.header("location") == foreseen.location


def test_one_of_several_listeners_is_to_be_named(config):
    config["listeners"]["other"] = {"bind": ":81", "protocol": "http", "backend": "app"}
    with pytest.raises(ValueError, match="web, other"):
        decide(config, host="a.example")
    assert decide(config, host="a.example", listener="other").backend == "app"
    assert decide(config, headworks.Request(listener="web", headers={"Host": "a.example"})).backend == "app"
    with pytest.raises(KeyError):
        decide(config, listener="nowhere")
