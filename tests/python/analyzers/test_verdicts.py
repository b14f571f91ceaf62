"""What analyzers may answer at each moment, and how it is given to the engine."""

# ruff: noqa: RUF043  (analyzers of tests do what a path says, and need not look at all that they are given)

import pytest

import headworks
from headworks.analyzers.verdicts import MAY_SAY, WrongVerdictError, encode
from headworks.rules.verdicts import Limit, Log, Respond, Rewrite, Route, Verdict

VERDICTS = {
    "route": headworks.route("app", "127.0.0.1:1"),
    "respond": headworks.respond(403, "no é", {"X-Why": "a"}),
    "redirect": headworks.redirect("/there", 307),
    "reject": headworks.reject("why"),
    "rewrite": headworks.rewrite(set_headers={"A": "1", "B": None}, add_headers={"C": "2"}, remove_headers="D"),
    "limit": headworks.limit("ann", "5/10s"),
    "log": headworks.log(user="ann", age=3),
    "consult": headworks.consult("other"),
    "bypass": headworks.bypass(),
    "wait": headworks.wait(need=5),
    "read_body": headworks.read_body(10),
    "replace": headworks.replace(b"x"),
    "drop": headworks.drop(),
    "finish": headworks.finish(),
}
ENCODED = {
    "route": ("route", "app", "127.0.0.1:1"),
    "respond": ("respond", 403, "no é".encode(), (("X-Why", "a"),)),
    "redirect": ("redirect", "/there", 307),
    "reject": ("reject", "why"),
    "rewrite": ("rewrite", (("A", "1"), ("B", None)), (("C", "2"),), ("D",), None, None, None),
    "limit": ("limit", "ann", 5, 10_000, 5),
    "log": ("log", (("user", "ann"), ("age", "3"))),
    "consult": ("consult", "other"),
    "bypass": ("bypass",),
    "wait": ("wait", 5),
    "read_body": ("read_body", 10),
    "replace": ("replace", b"x"),
    "drop": ("drop",),
    "finish": ("finish",),
}
ALLOWED = {
    "accepted": "log bypass route reject limit",
    "first_bytes": "log bypass route reject limit consult wait",
    "hello": "log bypass route reject limit consult",
    "request": "log bypass route respond redirect reject rewrite limit consult read_body",
    "response": "log bypass respond redirect reject rewrite limit consult",
}


@pytest.mark.parametrize("hook", ALLOWED)
@pytest.mark.parametrize("word", VERDICTS)
def test_each_hook_may_answer_its_own_parts_and_no_other(hook: str, word: str) -> None:
    if word in ALLOWED[hook].split():
        assert encode(VERDICTS[word], hook) == (ENCODED[word],)
        return
    with pytest.raises(WrongVerdictError, match=f"^{hook} may not answer {word}; it may answer ") as told:
        encode(VERDICTS[word], hook)
    assert all(allowed in str(told.value) for allowed in ALLOWED[hook].split())


def test_none_goes_on_and_several_parts_stay_in_order() -> None:
    assert encode(None, "request") is None
    both = encode(headworks.rewrite(path="/x") & headworks.route("b") & headworks.log(a=True), "request")
    assert [part[0] for part in both or ()] == ["rewrite", "route", "log"]
    assert set(MAY_SAY) >= set(ALLOWED)


@pytest.mark.parametrize("nonsense", [True, 0, "", "reject", b"x", (), object, headworks.Verdict, [headworks.drop()]])
def test_what_is_no_verdict_is_wrong(nonsense: object) -> None:
    with pytest.raises(WrongVerdictError, match="^request answered .*, which is neither a verdict nor None$"):
        encode(nonsense, "request")


@pytest.mark.parametrize(
    "verdict",
    [
        headworks.route(5),  # type: ignore[arg-type]
        headworks.route("app", 80),  # type: ignore[arg-type]
        headworks.respond(200, 5),  # type: ignore[arg-type]
        headworks.respond(200, None),  # type: ignore[arg-type]
        headworks.respond(200, "", {"X-A": 5}),  # type: ignore[dict-item]
        headworks.redirect(None),  # type: ignore[arg-type]
        headworks.rewrite(set_headers={"X-A": 5}),  # type: ignore[dict-item]
        headworks.rewrite(add_headers={"X-A": b"5"}),  # type: ignore[dict-item]
        headworks.consult(None),  # type: ignore[arg-type]
        Verdict((Respond("much"),)),  # type: ignore[arg-type]
        Verdict((Rewrite(set=5),)),  # type: ignore[arg-type]
        Verdict((Rewrite(set=(("A",),)),)),  # type: ignore[arg-type]
        Verdict((Log(fields=5),)),  # type: ignore[arg-type]
        Verdict((5,)),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_parts_of_wrong_types_are_wrong_verdicts(verdict: Verdict) -> None:
    with pytest.raises(WrongVerdictError, match="^request "):
        encode(verdict, "request")


def test_bytes_of_clients_go_back_as_they_came() -> None:
    """A client's bytes that are no ASCII are surrogates in Python, and must not make a failure."""
    assert encode(headworks.respond(403, "no \udcff"), "request") == (("respond", 403, b"no \xff", ()),)
    assert encode(headworks.respond(200, b"\xff"), "request") == (("respond", 200, b"\xff", ()),)  # type: ignore[arg-type]


def test_a_key_of_any_kind_is_a_text() -> None:
    assert encode(headworks.limit(None, "1/s"), "request") == (("limit", "None", 1, 1000, 1),)
    assert encode(Verdict((Limit(5, 1, 1, 1), Route("a"))), "accepted") == (
        ("limit", "5", 1, 1, 1),
        ("route", "a", None),
    )


@pytest.mark.parametrize("need", [0, -1, (1 << 20) + 1])
def test_what_cannot_be_waited_for(need: int) -> None:
    with pytest.raises(ValueError, match="need is between 1 and 1,048,576"):
        headworks.wait(need=need)


@pytest.mark.parametrize("limit", [0, -1, (1 << 30) + 1])
def test_what_cannot_be_read(limit: int) -> None:
    with pytest.raises(ValueError, match="limit is between 1 and 1,073,741,824"):
        headworks.read_body(limit)


def test_two_ways_are_refused() -> None:
    with pytest.raises(ValueError, match="a verdict has one of"):
        headworks.route("a") & headworks.reject()
