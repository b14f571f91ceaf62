"""Backends that only rules lead to, and what explanations say of fields that are not there."""

import pytest

import headworks
from headworks.config.routes import led_to_by_http
from headworks.testing import decide


@headworks.rule
def to_b(request: headworks.Request) -> headworks.Verdict | None:
    """Go to one of two, by a field and a cookie."""
    if request.headers.get("X-Team") == "blue":
        return headworks.route("b")
    if request.cookies.get("kind") is None and request.query_params.get("q") is None:
        return headworks.log(plain="yes")
    return None


@headworks.rule
def to_c(request: headworks.Request) -> headworks.Verdict | None:
    """Go further."""
    return headworks.route("c") if request.early else None


@headworks.rule
def hello_to_b(hello: headworks.Hello) -> headworks.Verdict | None:
    """Pass TLS on."""
    return headworks.route("b") if hello.name == "a.example" else None


def config(**backend: object) -> dict:
    return {
        "listeners": {"web": {"bind": ":80", "protocol": "http", "backend": "a", "rules": [to_b]}},
        "backends": {
            "a": {"servers": "127.0.0.1:1"},
            "b": {"servers": "127.0.0.1:2", "rules": [to_c]} | backend,
            "c": {"servers": "127.0.0.1:3"},
        },
    }


def test_backends_are_led_to_by_rules_and_by_the_rules_of_those():
    whole = headworks.Config.parse(config())
    assert led_to_by_http(whole) == {"a": "web", "b": "web", "c": "web"}


def test_what_is_wrong_of_both_ends_is_found_for_them():
    wrong = config(tls={"alpn": ["h5"]})
    with pytest.raises(headworks.ConfigError, match=r"listeners\.web leads here"):
        headworks.Config.parse(wrong)
    through = {
        "listeners": {"in": {"bind": ":443", "protocol": "tls", "backend": "a", "rules": [hello_to_b]}},
        "backends": {"a": {"servers": "127.0.0.1:1"}, "b": {"servers": "127.0.0.1:2", "tls": {}}},
    }
    with pytest.raises(headworks.ConfigError, match="would be encrypted twice"):
        headworks.Config.parse(through)


def test_a_branch_that_an_absent_field_decided_says_so():
    steps = "\n".join(decide(config(), host="a.example").steps)
    assert "is false (headers['X-Team'] is None)" in steps
    assert "is true (cookies['kind'] is None, query_params['q'] is None)" in steps
    steps = "\n".join(decide(config(), host="a.example", path="/?q=5", headers={"X-Team": "red"}).steps)
    assert "is false (headers['X-Team'] is 'red')" in steps
    assert "query_params['q'] is '5'" in steps
