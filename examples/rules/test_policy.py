"""The policy, as plain functions and as a proxy decides by it. Run by: pytest examples/rules"""

import sys
from pathlib import Path

import headworks
from headworks.testing import decide

sys.path.insert(0, str(Path(__file__).parent))

from policy import canary

CONFIG = Path(__file__).with_name("headworks.toml")


def test_the_administration_is_for_the_office() -> None:
    inside = decide(CONFIG, listener="web", host="a.example", path="/admin", client="10.1.2.3")
    outside = decide(CONFIG, listener="web", host="a.example", path="/admin", client="192.0.2.1")
    assert (inside.backend, outside.status) == ("stable", 403)


def test_scanners_are_refused() -> None:
    told = decide(
        CONFIG, listener="web", host="a.example", path="/", client="192.0.2.1", headers={"User-Agent": "sqlmap/1.7"}
    )
    assert told.refusal == "rule_rejected"


def test_a_host_under_work_answers_itself() -> None:
    told = decide(CONFIG, listener="web", host="old.example", path="/", client="192.0.2.1")
    assert told.status == 503


def test_whoever_asks_for_the_new_version_gets_it() -> None:
    request = headworks.Request(target="/", headers={"Host": "a.example", "Cookie": "version=new"}, client="192.0.2.1")
    told = decide(CONFIG, request, listener="web")
    assert told.backend == "canary"


def test_one_client_in_twenty_tries_the_new_version_and_always_the_same_ones() -> None:
    clients = [f"192.0.{high}.{low}" for high in range(10) for low in range(200)]
    tried = {client for client in clients if canary(headworks.Request(client=client)) is not None}
    assert 60 < len(tried) < 140
    assert all(canary(headworks.Request(client=client)) is not None for client in tried)
    # Whoever wants the old one keeps it.
    stays = headworks.Request(headers={"Cookie": "version=old"}, client=min(tried))
    assert canary(stays) is None
