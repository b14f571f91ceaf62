"""Sets that providers yield: whatever is in them, they are servers or refused, and never anything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.providers.base import ProviderError
from headworks.providers.sets import MOST, read, settled

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
KEYS = st.sampled_from(["address", "weight", "backup", "max_connections", "targets", "labels"]) | st.text()
VALUES = st.recursive(SCALARS, lambda below: st.lists(below) | st.dictionaries(KEYS, below), max_leaves=20)


@given(VALUES)
def test_anything_that_is_yielded_is_a_set_or_refused(value: object) -> None:
    try:
        found = settled(value, {"weight": 3})
    except ProviderError as error:
        assert str(error)
    else:
        servers = [json.loads(one) for one in found]
        assert len({one["address"] for one in servers}) == len(servers)
        assert all(0 <= one["weight"] <= 256 for one in servers)


@given(VALUES)
def test_any_document_is_a_list_or_refused(value: object) -> None:
    try:
        found = read(value)
    except ProviderError as error:
        assert str(error)
    else:
        assert isinstance(found, tuple)


def test_the_order_in_which_servers_come_does_not_matter() -> None:
    assert settled(["b:2", "a:1"], {}) == settled(["a:1", "b:2", "a:1"], {})


def test_what_a_server_does_not_say_is_as_written_beside_the_reference() -> None:
    (one,) = settled([{"address": "192.0.2.1:80", "backup": False}], {"weight": 9, "backup": True})
    assert json.loads(one) == {"address": "192.0.2.1:80", "weight": 9, "backup": False, "max_connections": None}


def test_there_may_be_as_many_as_there_may_be_and_no_more() -> None:
    addresses = [f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}:80" for number in range(MOST + 1)]
    assert len(settled(addresses[:-1], {})) == MOST
    with pytest.raises(ProviderError, match="more than 10,000 servers"):
        settled(addresses, {})
    with pytest.raises(ProviderError, match="more than 10,000 servers"):
        settled((address for address in iter(lambda: "192.0.2.1:80", None)), {})


def test_groups_are_as_prometheus_has_them() -> None:
    groups = [
        {"targets": ["192.0.2.1:80"], "labels": {"weight": "2", "job": "app", "__meta_x": "y"}},
        {"targets": []},
        {"targets": ["192.0.2.2:80"], "labels": None},
    ]
    assert read(groups) == ({"weight": 2, "address": "192.0.2.1:80"}, {"address": "192.0.2.2:80"})
    assert read({"groups": groups}) == read(groups)
    for wrong in (
        {"targets": ["a:1"], "labels": {"backup": "maybe"}},
        {"targets": "a:1"},
        {"targets": [], "labels": ["x"]},
    ):
        with pytest.raises(ProviderError):
            read([wrong])
