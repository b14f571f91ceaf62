"""What the engine counts and what ``headworks.stats`` gives are the same, name by name."""

import ast
import inspect
import json
import math
from dataclasses import fields
from itertools import pairwise

import headworks
from headworks import stats
from headworks._engine import counters
from headworks.stats import BackendStats, Counters, ListenerStats, ServerStats, Stats

APART = {"retries": BackendStats, "connect_failures": ServerStats}
"""Counters that not all have."""

DERIVED = {"active", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_buckets", "latency_sum_ms"}
"""Fields of all that are no counters."""

TCP = {
    "logs": {"access": "off"},
    "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}},
    "backends": {"app": {"servers": ["127.0.0.1:1"]}},
}


def names(kind: type) -> set[str]:
    return {one.name for one in fields(kind)}


def documented(kind: type) -> dict[str, str]:
    """Read what stands below each field."""
    classes = [one for one in ast.parse(inspect.getsource(stats)).body if isinstance(one, ast.ClassDef)]
    (found,) = [one for one in classes if one.name == kind.__name__]
    return {
        ast.unparse(named.target): str(ast.literal_eval(text.value))
        for named, text in pairwise(found.body)
        if isinstance(named, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def test_counters_are_those_of_the_engine():
    assert names(Counters) - DERIVED == set(counters()) - set(APART)
    for name, kind in APART.items():
        assert name in names(kind)
        assert documented(kind)[name] == counters()[name]


def test_counters_are_explained_in_the_words_of_the_engine():
    explained = documented(Counters)
    assert {name: explained[name] for name in counters() if name not in APART} == {
        name: text for name, text in counters().items() if name not in APART
    }


def test_the_engine_gives_what_the_classes_have():
    with headworks.Proxy(TCP) as proxy:
        raw = json.loads(proxy._running().stats())
        decoded = proxy.stats()
    backend = raw["backends"]["app"]
    pairs = (
        (ListenerStats, raw["listeners"]["raw"]),
        (BackendStats, backend),
        *((ServerStats, one) for one in backend["servers"].values()),
    )
    for kind, given in pairs:
        # The engine knows of no providers.
        assert names(kind) - {"sources"} == set(given)
    buckets = decoded.listeners["raw"].latency_buckets
    assert buckets[0] == (1.0, 0)
    assert buckets[-1] == (math.inf, 0)
    assert decoded.listeners["raw"].handshake_buckets == buckets


def test_keys_of_a_newer_engine_are_passed_over():
    text = {"workers": 1, "connections": 0, "records_dropped": 0, "listeners": {}, "backends": {}, "newer": 1}
    assert Stats.decode(json.dumps(text)).workers == 1
