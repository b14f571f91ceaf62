"""The provider on its own, and as a proxy runs it. Run by: pytest examples/discovery"""

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import headworks

sys.path.insert(0, str(Path(__file__).parent))

from leases import Leases

HERE = Path(__file__).parent


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "leases.db"
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("CREATE TABLE leases (address TEXT, weight INTEGER, expires REAL)")
    lease(file, "127.0.0.1:9001", 60)
    lease(file, "127.0.0.1:9002", -60)
    return file


def lease(database: Path, address: str, seconds: float) -> None:
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("INSERT INTO leases VALUES (?, 1, ?)", (address, time.time() + seconds))


def test_whoever_holds_a_lease_is_a_server(database: Path) -> None:
    async def first() -> list[dict[str, object]]:
        return await anext(Leases(str(database)).servers())

    assert asyncio.run(first()) == [{"address": "127.0.0.1:9001", "weight": 1}]


def test_a_proxy_follows_them(database: Path) -> None:
    config = {
        "logs": {"access": "off"},
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": "provider:leases"}},
        "providers": {"leases": {"python": Leases(str(database), pause=0.1)}},
    }
    with headworks.Proxy(config) as proxy:
        assert list(proxy.stats().backends["app"].servers) == ["127.0.0.1:9001"]
        lease(database, "127.0.0.1:9003", 60)
        for notice in proxy.notices():
            if notice.facts.get("added") == ["127.0.0.1:9003"]:
                break
        database.rename(database.with_suffix(".gone"))
        for notice in proxy.notices():
            if notice.kind == "discovery_stale":
                break
        assert len(proxy.stats().backends["app"].servers) == 2


def test_the_example_is_right() -> None:
    config = headworks.Config.load(HERE / "headworks.toml")
    assert headworks.explain(config, listener="web", host="app.example").server == "provider:leases"
