"""Decisions about requests that analyzers have a say in: they are asked as a proxy asks them."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import headworks
from headworks.analyzers.connection import Connection
from headworks.analyzers.views import HelloView
from headworks.testing import decide
from headworks.testing.origins import Origins


class Gate(headworks.Analyzer):
    """Lets in who has a token, by whichever way its constructor says."""

    def __init__(self, backend: str = "inner") -> None:
        self.backend = backend
        self.seen: list[object] = []

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.seen.append((exchange.request.backend, exchange.request.host, exchange.request.path))
        if exchange.request.headers.get("authorization") != "Bearer good":
            return headworks.respond(401, "no")
        return headworks.rewrite(set_headers={"X-User": "ann"}) & headworks.route(self.backend)


class Sums(headworks.Analyzer):
    """Reads small bodies."""

    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        await asyncio.sleep(0)
        if exchange.body is None:
            return headworks.read_body(4)
        return headworks.rewrite(set_headers={"X-Body": exchange.body.decode()})


class Broken(headworks.Analyzer):
    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        raise LookupError("nobody there")


class Door(headworks.Analyzer):
    """Has a say before there is a request, and in what a ClientHello asks for."""

    def accepted(self, connection: Connection) -> headworks.Verdict | None:
        return headworks.reject("known") if str(connection.client) == "192.0.2.66" else None

    def hello(self, connection: Connection, hello: HelloView) -> headworks.Verdict | None:
        return headworks.route("inner") if hello.name == "inner.example" else None


@headworks.rule
def ask_gate(request: headworks.Request) -> headworks.Verdict | None:
    if request.path.startswith("/private"):
        return headworks.consult("gate")
    return None


@headworks.rule
def mark(request: headworks.Request) -> headworks.Verdict | None:  # noqa: ARG001
    return headworks.rewrite(set_headers={"X-Marked": "yes"})


@headworks.rule
def by_name(hello: headworks.Hello) -> headworks.Verdict | None:
    if hello.name == "other.example":
        return headworks.route("inner", server="127.0.0.1:9")
    return None


@headworks.rule
def at_night(request: headworks.Request) -> headworks.Verdict | None:  # noqa: ARG001
    if headworks.now.hour < 6:
        return headworks.respond(503, "asleep")
    return None


def config(analyzer: headworks.Analyzer | type[headworks.Analyzer], where: str = "listener", **settings) -> dict:
    web: dict[str, object] = {"bind": "127.0.0.1:0", "protocol": "http", "backend": "outer"}
    inner: dict[str, object] = {"servers": ["127.0.0.1:2", "127.0.0.1:9"]}
    backends: dict[str, dict[str, object]] = {"outer": {"servers": "127.0.0.1:1"}, "inner": inner}
    (web if where == "listener" else backends["outer"])["analyzers"] = ["gate"]
    return {
        "listeners": {"web": web},
        "backends": backends,
        "analyzers": {"gate": {"python": analyzer, **settings}},
    }


def test_an_analyzer_is_asked_and_its_word_counts():
    gate = Gate()
    assert decide(config(gate), host="a.example").status == 401
    decision = decide(config(gate), host="a.example", path="/x?y", headers={"Authorization": "Bearer good"})
    assert (decision.backend, decision.server) == ("inner", "127.0.0.1:2")
    assert "X-User: ann" in decision.head
    assert gate.seen == [(None, "a.example", "/"), (None, "a.example", "/x")]
    assert "analyzer gate was asked" in decision.steps


def test_one_of_a_backend_is_told_which():
    gate = Gate()
    assert decide(config(gate, "backend"), host="a.example").status == 401
    assert gate.seen == [("outer", "a.example", "/")]


def test_a_class_is_made_anew_for_each_decision_with_its_arguments():
    decision = decide(
        config(Gate, arguments={"backend": "outer"}), host="a", headers=[("Authorization", "Bearer good")]
    )
    assert decision.backend == "outer"


def test_explain_asks_nobody():
    gate = Gate()
    explained = headworks.explain(config(gate), listener="web", host="a.example")
    assert explained.backend == "outer"
    assert gate.seen == []
    assert any(step.startswith("analyzer gate would be asked") for step in explained.steps)


@pytest.mark.parametrize(("body", "head"), [(b"abcd", "X-Body: abcd"), (b"", "X-Body: "), (None, "X-Body: ")])
def test_a_body_is_read_by_a_coroutine(body, head):
    assert head in decide(config(Sums()), host="a", method="POST", body=body).head


def test_a_body_beyond_the_limit_is_refused_as_by_a_proxy():
    decision = decide(config(Sums()), host="a", method="POST", body=b"abcde")
    assert (decision.refusal, decision.status) == ("body_too_large", 413)


def test_decisions_are_made_in_a_running_loop_too():
    async def decided() -> str | None:
        return decide(config(Sums()), host="a", method="POST", body=b"ab").head

    assert "X-Body: ab" in (asyncio.run(decided()) or "")


@pytest.mark.parametrize(("on_failure", "refusal"), [("reject", "analyzer_failed"), ("pass", None)])
def test_what_one_raises_is_logged_and_on_failure_decides(on_failure, refusal, caplog):
    with caplog.at_level(logging.ERROR):
        decision = decide(config(Broken(), on_failure=on_failure), host="a.example")
    assert decision.refusal == refusal
    assert "nobody there" in caplog.text


def test_a_rule_has_one_asked_and_the_rules_behind_it_go_on():
    given = config(Gate(backend="outer"))
    given["listeners"]["web"] |= {"rules": [ask_gate, mark], "analyzers": []}
    assert decide(given, host="a.example", path="/private").status == 401
    public = decide(given, host="a.example")
    assert public.backend == "outer"
    assert "X-Marked: yes" in public.head
    explained = headworks.explain(given, listener="web", host="a.example", path="/private")
    assert "X-Marked: yes" in explained.head, "an explanation that asks nobody goes on as if nothing was said"


def test_those_who_are_asked_before_there_is_a_request():
    given = config(Door())
    assert decide(given, host="a.example").backend == "outer"
    assert decide(given, host="a.example", client="192.0.2.66").refusal == "analyzer_rejected"


@pytest.fixture
def tls() -> dict:
    given = config(Door())
    given["listeners"]["web"]["protocol"] = "tls"
    return given


@pytest.mark.parametrize(("name", "backend"), [("inner.example", "inner"), ("else.example", "outer")])
def test_what_is_said_of_a_hello(tls, name, backend):
    assert decide(tls, sni=name).backend == backend


def test_rules_of_hellos_are_explained_and_decided(tls):
    tls["listeners"]["web"] |= {"rules": [by_name], "analyzers": []}
    for found in (decide(tls, sni="other.example"), headworks.explain(tls, listener="web", sni="other.example")):
        assert found.backend == "inner"
        assert any('hello.name == "other.example" is true' in step for step in found.steps)
        assert found.server == "127.0.0.1:9"
    assert decide(tls, sni="else.example").backend == "outer"


def test_a_decision_has_its_time():
    given = config(Gate())
    given["listeners"]["web"] |= {"rules": [at_night], "analyzers": []}
    night, noon = (datetime(2026, 5, 1, hour, tzinfo=UTC) for hour in (3, 12))
    with headworks.now.at(night):
        assert decide(given, host="a").status == 503
    with headworks.now.at(noon):
        assert decide(given, host="a").backend == "outer"


@pytest.fixture
def server() -> Iterator[str]:
    origins = Origins()
    yield origins().address
    origins.close()


def test_decisions_are_those_of_a_running_proxy(headworks_proxy, client, server):
    given = config(Gate())
    given["backends"] = {name: {"servers": server} for name in ("outer", "inner")}
    proxy = headworks_proxy(given)
    for headers in ({}, {"Authorization": "Bearer good"}):
        foreseen = decide(given, host="a.example", headers=headers)
        reply = client.get(proxy.address("web"), "/", host="a.example", headers=headers)
        assert reply.status == (foreseen.status or 200)
