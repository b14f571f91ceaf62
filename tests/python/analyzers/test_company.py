"""Company: made and started before the engine takes them, kept while they are the same, stopped after their last."""

# ruff: noqa: RUF012, RUF043  (analyzers of tests do what a path says, and need not look at all that they are given)

import sys
from typing import Any

import pytest

import headworks
from headworks import ConfigError
from headworks.analyzers.company import Company
from headworks.analyzers.declared import Declared
from rig.questions import Desk, Question
from rig.waiting import until


class Engine:
    """Desks by name; the last one of a name is the one that is served."""

    def __init__(self) -> None:
        self.desks: dict[str, list[Desk]] = {}

    def analyzer(self, name: str) -> Desk:
        desk = Desk()
        self.desks.setdefault(name, []).append(desk)
        return desk


class Told(headworks.Analyzer):
    """Writes down what happens to it."""

    said: list[str] = []

    def __init__(self, name: str, fails: str = "") -> None:
        self.name, self.fails = name, fails
        self._at("made")

    def _at(self, moment: str) -> None:
        self.said.append(f"{moment} {self.name}")
        if self.fails == moment:
            raise RuntimeError(f"no {moment}")
        if self.fails == f"exit {moment}":
            sys.exit(moment)

    async def start(self, proxy: Any) -> None:
        self._at("started")

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        return headworks.log(by=self.name)

    async def stop(self) -> None:
        self._at("stopped")


@pytest.fixture
def said() -> list[str]:
    Told.said = []
    return Told.said


def declared(*names: str, fails: str = "", version: str = "") -> dict[str, Declared]:
    def one(name: str) -> Declared:
        return Declared(name=name, make=lambda: Told(name + version, fails), version=version, hooks=("request",))

    return {name: one(name) for name in names}


def take(company: Company, engine: Engine, wanted: dict[str, Declared]) -> None:
    company.take(company.prepare(wanted), wanted, engine)  # type: ignore[arg-type]


def test_made_and_started_in_order_and_stopped_at_the_end(said: list[str]) -> None:
    company, engine = Company(None), Engine()  # type: ignore[arg-type]
    interval = sys.getswitchinterval()
    take(company, engine, declared("a", "b"))
    assert said == ["made a", "started a", "made b", "started b"]
    desk = engine.desks["a"][0]
    desk.put(Question("request", 0))
    assert desk.answered(0) == [(("log", (("by", "a"),)),)]
    for desks in engine.desks.values():
        desks[0].close()
    company.end()
    assert sorted(said[4:]) == ["stopped a", "stopped b"]
    assert sys.getswitchinterval() == interval


def test_threads_take_turns_more_often_while_there_are_analyzers() -> None:
    usual = sys.getswitchinterval()
    company, engine = Company(None), Engine()  # type: ignore[arg-type]
    wanted = declared("a")

    def take_turns(those: dict[str, Declared], turns: float) -> float:
        company.take(company.prepare(those), those, engine, turns)  # type: ignore[arg-type]
        return sys.getswitchinterval()

    assert take_turns(wanted, 0.0) == usual
    assert take_turns(wanted, 0.0005) == pytest.approx(0.0005)
    assert take_turns(wanted, 0.001) == pytest.approx(0.001)
    assert take_turns(wanted, 60.0) == usual, "never less often than before"
    assert take_turns(wanted, 0.0005) == pytest.approx(0.0005)
    assert take_turns({}, 0.0005) == usual
    engine.desks["a"][0].close()
    company.end()


def test_kept_where_it_is_the_same_and_replaced_otherwise(said: list[str]) -> None:
    company, engine = Company(None), Engine()  # type: ignore[arg-type]
    take(company, engine, declared("a", "b"))
    take(company, engine, declared("a", "b"))
    assert said[4:] == []
    new = {**declared("a"), **declared("b", version="2")}
    take(company, engine, new)
    assert said[4:] == ["made b2", "started b2"]
    old, newer = engine.desks["b"]
    old.put(Question("request", 0))
    newer.put(Question("request", 0))
    assert old.answered(0) != newer.answered(0)
    old.close()
    until(lambda: said[6:] == ["stopped b"])
    take(company, engine, declared("a"))
    newer.close()
    until(lambda: said[7:] == ["stopped b2"])
    engine.desks["a"][0].close()
    company.end()


@pytest.mark.parametrize("fails", ["made", "started", "exit made", "exit started"])
def test_of_those_beside_one_that_cannot_start_nothing_is_left(fails: str, said: list[str]) -> None:
    company = Company(None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="analyzers.b.python: it cannot be started: ") as told:
        company.prepare({**declared("a"), **declared("b", "c", fails=fails)})
    assert len(told.value.problems) == 2
    assert said[-1] == "stopped a"
    company.end()


@pytest.mark.parametrize("fails", ["stopped", "exit stopped"])
def test_one_that_cannot_stop_keeps_nobody(fails: str, said: list[str], caplog: pytest.LogCaptureFixture) -> None:
    company, engine = Company(None), Engine()  # type: ignore[arg-type]
    take(company, engine, declared("a", fails=fails))
    engine.desks["a"][0].close()
    company.end()
    assert said[-1] == "stopped a"
    assert [record.getMessage() for record in caplog.records] == ["analyzer a: stop failed"]
