"""The guard over instructions: what is compared, what fails, and when it says nothing. Without valgrind."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def guard():
    spec = importlib.util.spec_from_file_location("bench_instructions", BENCH / "instructions.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_instructions"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_instructions"]


def problems(guard, before, now):
    return {verdict.name: verdict.problem for verdict in guard.judge(before, now) if verdict.problem}


def test_five_per_cent_are_the_limit(guard):
    assert problems(guard, {"a": 1000.0, "b": 1000.0}, {"a": 1049.0, "b": 1051.0}) == {"b": "needs more than 5% more"}
    assert problems(guard, {"a": 1000.0}, {"a": 10.0}) == {}


def test_a_path_of_one_side_only_fails(guard):
    assert problems(guard, {"old": 1.0}, {"new": 1.0}) == {"old": "is in the baseline only", "new": "has no baseline"}


def test_a_line_says_what_changed(guard):
    worse, better = guard.judge({"a": 200.0, "b": 200.0}, {"a": 300.0, "b": 100.0})
    assert worse.line().split() == ["a", "200", "300", "+50.0%", "needs", "more", "than", "5%", "more"]
    assert "-50.0%" in better.line()
    assert "UPDATE=1" in better.line()


def test_a_baseline_is_read_as_it_was_written(guard):
    maker = guard.Maker(rustc="rustc 1", target="x86", libc="glibc 2")
    written = guard.Baseline(maker=maker, instructions={"b": 2.0, "a": 1.5})
    assert guard.Baseline.parse(written.text()) == written
    assert guard.Baseline.parse((BENCH / "guard" / "baseline.toml").read_text()).instructions


def test_another_compiler_is_named(guard):
    one = guard.Maker(rustc="rustc 1", target="x86", libc="glibc 2")
    other = guard.Maker(rustc="rustc 2", target="x86", libc="glibc 2")
    assert one.differences(one) == []
    assert one.differences(other) == ["rustc: the baseline has rustc 1, here is rustc 2"]


def test_another_compiler_skips_the_comparison(guard, monkeypatch, capsys):
    other = guard.Maker(rustc="rustc 0", target="x86", libc="glibc 2")
    monkeypatch.setattr(guard.Maker, "here", lambda: other)
    monkeypatch.setattr(guard.shutil, "which", lambda _program: "/usr/bin/valgrind")
    monkeypatch.setattr(sys, "argv", ["instructions.py"])
    assert guard.main() == 0
    said = capsys.readouterr().out
    assert "SKIPPED" in said
    assert "here is rustc 0" in said


def test_without_valgrind_nothing_is_compared_and_it_is_said(guard, monkeypatch, capsys):
    monkeypatch.setattr(guard.shutil, "which", lambda _program: None)
    monkeypatch.setattr(sys, "argv", ["instructions.py"])
    assert guard.main() == 0
    assert "apt-get install valgrind" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["instructions.py", "--update"])
    assert guard.main() == 1


def test_totals_belong_to_the_paths_in_their_order(guard):
    assert guard.per_operation("a 10\nb 100\n", [50, 700]) == {"a": 5.0, "b": 7.0}
    with pytest.raises(ValueError, match="2 paths, but 1"):
        guard.per_operation("a 10\nb 100\n", [50])


def test_a_record_has_one_total(guard):
    assert guard.total_of("version: 1\nevents: Ir\nsummary: 12345\n\nfn=(1)\n") == 12345
    with pytest.raises(ValueError, match="no total"):
        guard.total_of("version: 1\n")
