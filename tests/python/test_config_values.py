"""Durations, sizes and modes: what is read, what is refused, how it is shown."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from headworks.config.problems import closest, did_you_mean, show_path
from headworks.config.values import Duration, Mode, Size, quote, show_duration, show_size


@pytest.mark.parametrize(
    ("written", "seconds"), [("500ms", 0.5), ("2s", 2), ("10m", 600), ("1h", 3600), ("90s", 90), ("0s", 0)]
)
def test_durations(written, seconds):
    assert Duration(zero="off").read(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written", ["", "5", "5 s", "-1s", "1.5s", "1h30m", "2d", "s", 5, 5.0, True, None, "٣s", "1s\n"]
)
def test_what_is_no_duration(written):
    with pytest.raises(PydanticCustomError):
        Duration().read(written)


@pytest.mark.parametrize(("written", "said"), [("0s", "0s is not between 1ms and 24h"), ("25h", "25h is not between")])
def test_durations_out_of_range(written, said):
    with pytest.raises(PydanticCustomError, match=said):
        Duration().read(written)


def test_durations_are_whole_milliseconds():
    with pytest.raises(PydanticCustomError, match="whole milliseconds"):
        Duration().read(timedelta(microseconds=1500))


def test_durations_in_microseconds_where_a_key_has_them():
    fine = Duration("50us", "1s", step="10us")
    assert fine.read("500us") == timedelta(microseconds=500)
    assert show_duration(fine.read("1500us")) == "1500us"
    assert fine.read("2ms") == timedelta(milliseconds=2)
    for wrong in ("55us", "40us"):
        with pytest.raises(PydanticCustomError):
            fine.read(wrong)
    with pytest.raises(PydanticCustomError, match="whole milliseconds"):
        Duration().read("500us")


@given(st.integers(1, 86_400_000))
def test_durations_round_trip(milliseconds):
    kept = timedelta(milliseconds=milliseconds)
    assert Duration().read(show_duration(kept)) == kept


@pytest.mark.parametrize(("written", "kept"), [("64KiB", 65536), ("1MiB", 1 << 20), ("2048B", 2048), (4096, 4096)])
def test_sizes(written, kept):
    assert Size("1KiB", "1MiB").read(written) == kept


@pytest.mark.parametrize(
    ("written", "suggestion"), [("64k", '"64KiB"'), ("64KB", '"64KiB"'), ("1 mb", '"1MiB"'), ("x", None), (True, None)]
)
def test_what_is_no_size(written, suggestion):
    with pytest.raises(PydanticCustomError) as caught:
        Size("1KiB", "1MiB").read(written)
    assert caught.value.context["found"][0]["suggestion"] == did_you_mean(suggestion)


@given(st.integers(1024, 1 << 20))
def test_sizes_round_trip(size):
    assert Size("1KiB", "1MiB").read(show_size(size)) == size


@pytest.mark.parametrize(("written", "kept"), [("0660", 0o660), ("660", 0o660), (0o600, 0o600), (0, 0)])
def test_modes(written, kept):
    assert Mode().read(written) == kept
    assert Mode().read(Mode().show(kept)) == kept


@pytest.mark.parametrize("written", ["0999", "66", "rw", 0o1777, -1, True])
def test_what_is_no_mode(written):
    with pytest.raises(PydanticCustomError):
        Mode().read(written)


def test_paths_are_shown_as_users_write_them():
    assert show_path(("tables", "sites", "example.com")) == 'tables.sites."example.com"'
    assert show_path(("backends", "app", "servers", 1, "weight")) == "backends.app.servers[1].weight"


def test_close_names():
    assert closest("balence", ["balance", "servers"]) == "balance"
    assert closest("Round-Robin", ["round_robin", "random"]) == "round_robin"
    assert closest("max", ["max_connections", "servers"]) == "max_connections"
    assert closest("zzz", ["balance"]) is None


@given(st.text())
def test_what_is_quoted_is_one_short_line(text):
    assert len(quote(text).splitlines()) == 1
