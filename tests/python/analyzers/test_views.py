"""Views: read-only, read as they are looked at, and bytes that end with the call. States: forgotten, and bounded."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from headworks.analyzers.connection import Connection
from headworks.analyzers.exchange import Exchange
from headworks.analyzers.states import States
from headworks.analyzers.views import HelloView, RequestView, ResponseView
from rig.questions import Question

FIELDS = [("Host", "a.test"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "k=v"), ("X-Empty", "")]


def exchange(**given: object) -> tuple[Exchange, Question]:
    question = Question(given.pop("hook", "request"), fields=FIELDS, **given)  # type: ignore[arg-type]
    return Exchange(question, States()), question  # type: ignore[arg-type]


def test_nothing_can_be_set_or_removed() -> None:
    asked, question = exchange(tls=True)
    views = [asked, asked.connection, asked.request, asked.request.tls, ResponseView(question), HelloView(question)]  # type: ignore[arg-type]
    for view in views:
        for name in ("path", "state", "id", "_asked", "new", "__class__"):
            with pytest.raises(AttributeError, match="cannot be changed: answer with a verdict"):
                setattr(view, name, "x")
            with pytest.raises(AttributeError, match="cannot be removed"):
                delattr(view, name)


def test_nothing_is_read_before_it_is_looked_at() -> None:
    asked, question = exchange(path="/x")
    request = asked.request
    headers = request.headers
    assert question.read == []
    assert request.path == "/x"
    assert headers["x-a"] == "1, 2"
    assert question.read == ["path", "header x-a"]


def test_headers_keep_case_order_and_duplicates() -> None:
    headers = exchange()[0].request.headers
    assert headers["X-a"] == headers["x-A"] == "1, 2"
    assert headers.getlist("X-A") == ["1", "2"]
    assert "x-empty" in headers
    assert headers["x-empty"] == ""
    assert "x-none" not in headers
    assert headers.get("x-none") is None
    assert headers.get("x-none", "other") == "other"
    with pytest.raises(KeyError):
        headers["x-none"]
    assert headers.fields == tuple(FIELDS)
    assert list(headers)[:2] == ["Host", "X-A"] or "host" in [name.lower() for name in headers]
    with pytest.raises(TypeError):
        headers["x"] = "y"  # type: ignore[index]
    assert exchange()[0].request.cookies["k"] == "v"


def test_of_what_is_there_and_is_not() -> None:
    asked, _ = exchange(client="192.0.2.1", client_port=5, method="GET", query="a=1&a=2")
    assert asked.request.client == IPv4Address("192.0.2.1")
    assert asked.connection.client_port == 5
    assert asked.request.query_params.getlist("a") == ["1", "2"]
    assert (asked.request.host, asked.request.tls, asked.response, asked.body) == (None, None, None, None)
    assert Connection(Question("accepted", client="2001:db8::1"), States()).client == IPv6Address("2001:db8::1")  # type: ignore[arg-type]
    assert Connection(Question("accepted"), States()).client is None  # type: ignore[arg-type]
    assert Connection(Question("accepted"), States()).tls is None  # type: ignore[arg-type]
    answered, _ = exchange(hook="response", status=418)
    assert answered.response is not None
    assert answered.response.status == 418


def test_the_whole_body_is_there_only_after_it_was_read() -> None:
    assert exchange(chunk=b"abc", last=True)[0].body == b"abc"
    assert exchange(chunk=b"", last=True)[0].body == b""
    assert exchange(hook="response", chunk=b"abc", last=True)[0].body is None


def test_views_tell_what_they_are() -> None:
    asked, _ = exchange(method="GET", target="/x", host="a.test")
    assert repr(asked) == "<Exchange <Request GET /x of a.test>>"
    assert "Connection of None" in repr(asked.connection)
    assert isinstance(asked.request, RequestView)


def test_a_state_is_one_object_until_it_is_forgotten() -> None:
    states = States()
    first = Exchange(Question("request", exchange=5, connection=4), states)  # type: ignore[arg-type]
    first.state.user = "ann"
    first.connection.state.user = "bob"
    later = Exchange(Question("response", exchange=5, connection=4), states)  # type: ignore[arg-type]
    assert (later.state.user, later.connection.state.user) == ("ann", "bob")
    states.forget([5, 6])
    assert len(states) == 1
    assert not hasattr(later.state, "user")


def test_of_too_many_states_the_oldest_are_forgotten() -> None:
    states = States(most=3)
    for number in range(10):
        states.of(number).number = number
    assert len(states) == 3
    assert states.of(9).number == 9
    assert not hasattr(states.of(0), "number")
