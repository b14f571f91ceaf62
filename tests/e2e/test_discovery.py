"""Servers that providers find: what users' classes yield and files list; no failure of theirs hurts traffic."""

import asyncio
import contextlib
import json
import os
import queue
import socket
import threading
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import headworks
from headworks import ConfigError, Notice, Proxy
from rig.clients import served_by
from rig.configs import Config, http, tcp
from rig.http_clients import ask, get
from rig.http_origins import HttpOrigin
from rig.origins import Origin
from rig.process import running
from rig.waiting import until

Start = Callable[[Config], Proxy]
Make = Callable[..., Origin]
MakeHttp = Callable[..., HttpOrigin]


class Told(headworks.Provider):
    """Yields what it is told, raises what it is told, and waits for more."""

    interval = longest_pause = 0.1

    def __init__(self, *first: Any) -> None:
        self.calls = 0
        self.ended = threading.Event()
        self._given: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for one in first:
            self.tell(one)

    def tell(self, given: Any) -> None:
        self._given.put(given)

    async def servers(self) -> AsyncIterator[Any]:
        self.calls += 1
        try:
            while True:
                try:
                    given = self._given.get_nowait()
                except queue.Empty:
                    await asyncio.sleep(0.005)
                    continue
                if isinstance(given, BaseException):
                    raise given
                yield given
        finally:
            self.ended.set()


def provided(provider: Any, *others: Any, **settings: Any) -> Config:
    """A backend with the servers of a provider, and others."""
    return tcp("provider:told", *others) | {"providers": {"told": {"python": provider} | settings}}


def servers(proxy: Proxy) -> list[str]:
    return sorted(proxy.stats().backends["app"].servers)


def source(proxy: Proxy) -> Any:
    (one,) = proxy.stats().backends["app"].sources.values()
    return one


def told(proxy: Proxy, kind: str) -> Notice:
    with contextlib.closing(proxy.notices()) as notices:
        return next(one for one in notices if one.kind == kind)


def test_what_a_class_yields_serves_before_anybody_comes(start: Start, origin: Make) -> None:
    app = origin(name="app")
    proxy = start(provided(Told([app.address])))
    assert servers(proxy) == [app.address]
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    assert (source(proxy).servers, source(proxy).failure, source(proxy).failures) == (1, None, 0)
    assert source(proxy).age is not None


def test_sets_replace_each_other_and_stand_beside_what_is_written(start: Start, origin: Make) -> None:
    first, second, third = (origin(name=name) for name in ("first", "second", "third"))
    provider = Told([first.address, {"address": second.address, "weight": 7, "backup": True, "max_connections": 3}])
    proxy = start(provided(provider, third.address))
    stats = proxy.stats().backends["app"].servers
    assert sorted(stats) == sorted([first.address, second.address, third.address])
    assert (stats[second.address].weight, stats[second.address].backup) == (7, True)
    proxy.set_server("app", first.address, admin="drain")
    provider.tell([first.address])
    until(lambda: servers(proxy) == sorted([first.address, third.address]))
    assert proxy.stats().backends["app"].servers[first.address].admin == "drain", "one that stays keeps its state"


def test_settings_of_a_reference_are_those_of_each_of_its_servers(start: Start) -> None:
    config = provided(Told(["127.0.0.1:1", {"address": "127.0.0.1:2", "weight": 3}]))
    config["backends"]["app"]["servers"] = [{"address": "provider:told", "weight": 9, "backup": True}]
    stats = start(config).stats().backends["app"].servers
    assert {one: (stats[one].weight, stats[one].backup) for one in stats} == {
        "127.0.0.1:1": (9, True),
        "127.0.0.1:2": (3, True),
    }


def test_a_server_that_vanished_keeps_its_connections(start: Start, origin: Make) -> None:
    first, second = origin(name="first"), origin(name="second")
    provider = Told([first.address])
    proxy = start(provided(provider))
    with socket.create_connection(proxy.address("raw"), timeout=30) as client:
        client.sendall(b"x\n")
        before = client.recv(100)
        provider.tell([second.address])
        until(lambda: servers(proxy) == [second.address])
        client.sendall(b"y\n")
        assert client.recv(100), "its connection goes on"
        assert before
    assert served_by(proxy.address("raw"), b"x\n") == "second"


@pytest.mark.parametrize(
    "junk",
    [
        RuntimeError("down"),
        SystemExit(1),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        None,
        7,
        "127.0.0.1:80",
        b"127.0.0.1:80",
        {"address": "127.0.0.1:80"},
        [],
        [7],
        [None],
        [["127.0.0.1:80"]],
        ["app.internal:80"],
        ["127.0.0.1:0"],
        ["127.0.0.1:99999"],
        ["docker:app"],
        ["*:80"],
        [{"adress": "127.0.0.1:80"}],
        [{"address": "127.0.0.1:80", "weight": 257}],
        [{"address": "127.0.0.1:80", "weight": "2"}],
        [{7: "127.0.0.1:80"}],
        [f"127.0.{number // 250}.{number % 250 + 1}:80" for number in range(10_001)],
    ],
    ids=lambda junk: str(junk)[:24],
)
def test_junk_is_a_notice_and_the_servers_stay(junk: Any, start: Start, origin: Make) -> None:
    app, other = origin(name="app"), origin(name="other")
    provider = Told([app.address])
    proxy = start(provided(provider))
    provider.tell(junk)
    notice = told(proxy, "discovery_stale")
    assert notice.level == "warning"
    assert (notice.facts["backend"], notice.facts["source"]) == ("app", "provider:told")
    assert notice.facts["reason"]
    assert len(str(notice.facts["reason"])) < 400
    assert notice.facts["servers"] == 1
    assert source(proxy).failure == notice.facts["reason"]
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    provider.tell([other.address])
    assert told(proxy, "discovery_fresh").facts["servers"] == 1
    assert served_by(proxy.address("raw"), b"x\n") == "other"
    assert source(proxy).failure is None


def test_the_same_server_twice_is_one(start: Start) -> None:
    proxy = start(provided(Told(["127.0.0.1:9", {"address": "127.0.0.1:9", "weight": 5}, "127.0.0.1:8"])))
    assert servers(proxy) == ["127.0.0.1:8", "127.0.0.1:9"]
    assert source(proxy).servers == 2


def test_ten_thousand_servers_are_taken(start: Start) -> None:
    many = [f"127.{1 + number // 65_536}.{number // 256 % 256}.{number % 256}:80" for number in range(10_000)]
    proxy = start(provided(Told(many)))
    until(lambda: source(proxy).servers == 10_000, patience=60)
    assert len(servers(proxy)) == 10_000


@pytest.mark.parametrize("given", [[], ["127.0.0.1:9"]])
def test_a_set_below_min_servers_is_not_believed(given: list[str], start: Start) -> None:
    provider = Told(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"])
    proxy = start(provided(provider, min_servers=2))
    provider.tell(given)
    assert "min_servers is 2" in str(told(proxy, "discovery_stale").facts["reason"])
    assert len(servers(proxy)) == 3
    provider.tell(["127.0.0.1:1", "127.0.0.1:2"])
    until(lambda: servers(proxy) == ["127.0.0.1:1", "127.0.0.1:2"])


def test_with_min_servers_0_there_may_be_none(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    provider = Told([app.address])
    config = http("provider:told") | {"providers": {"told": {"python": provider, "min_servers": 0}}}
    proxy = start(config)
    assert ask(proxy.address("web"), get("/")).status == 200
    provider.tell([])
    until(lambda: servers(proxy) == [])
    assert ask(proxy.address("web"), get("/")).status == 503
    assert source(proxy).failure is None


def test_servers_are_taken_away_once_they_are_stale(start: Start) -> None:
    provider = Told(["127.0.0.1:9"])
    proxy = start(provided(provider, stale_after="1s"))
    assert servers(proxy) == ["127.0.0.1:9"]
    provider.tell(RuntimeError("gone"))
    until(lambda: servers(proxy) == [])
    assert "no set for 1 s" in str(source(proxy).failure)
    provider.tell(["127.0.0.1:9"])
    until(lambda: servers(proxy) == ["127.0.0.1:9"])
    assert source(proxy).failure is None


def test_the_same_set_again_keeps_it_from_being_stale(start: Start) -> None:
    provider = Told(["127.0.0.1:9"])
    proxy = start(provided(provider, stale_after="1s"))
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        provider.tell(["127.0.0.1:9"])
        time.sleep(0.05)
        assert servers(proxy) == ["127.0.0.1:9"]


@pytest.mark.parametrize("way", ["start", "reload"])
def test_nobody_comes_before_the_first_servers_are_there(way: str, http_origin: MakeHttp, tmp_path: Path) -> None:
    app = http_origin()
    for number in range(10):
        bound = tmp_path / f"{number}.sock"
        config = http("provider:told", "127.0.0.1:1", listener={"bind": f"unix:{bound}"}) | {
            "providers": {"told": {"python": Told([app.address])}},
            "logs": {"access": "off"},
        }
        config["backends"]["app"]["servers"].pop()
        seen: list[bytes] = []

        def come(bound: Path = bound, seen: list[bytes] = seen) -> None:
            deadline = time.monotonic() + 20
            while not seen and time.monotonic() < deadline:
                with contextlib.closing(socket.socket(socket.AF_UNIX)) as client, contextlib.suppress(OSError):
                    client.connect(str(bound))
                    client.sendall(get("/"))
                    seen.append(client.recv(12))

        coming = threading.Thread(target=come)
        coming.start()
        if way == "start":
            with Proxy(config):
                coming.join(30)
        else:
            with Proxy(http("127.0.0.1:1") | {"logs": {"access": "off"}}) as proxy:
                config["backends"] = {"fresh": config["backends"]["app"]}
                config["listeners"]["web"]["backend"] = "fresh"
                proxy.reload(config)
                coming.join(30)
        assert seen == [b"HTTP/1.1 200"]


def test_one_that_fails_all_the_time_does_not_fill_the_log(start: Start) -> None:
    provider = Told(["127.0.0.1:1"])
    proxy = start(provided(provider))
    begun = time.monotonic()
    for number in range(100):
        provider.tell(f"junk {number}")
        provider.tell([{"address": "127.0.0.1:1", "weight": 300 + number}])
        provider.tell(["127.0.0.1:1"])
    provider.tell(["127.0.0.1:2"])
    with contextlib.closing(proxy.notices()) as notices:
        seen = []
        for notice in notices:
            seen.append(notice.kind)
            if notice.facts.get("added") == ["127.0.0.1:2"]:
                break
    seconds = time.monotonic() - begun
    assert source(proxy).failures == 200
    assert 1 <= seen.count("discovery_stale") <= seconds + 2
    assert seen.count("discovery_fresh") <= seen.count("discovery_stale")
    until(lambda: source(proxy).failure is None)


def test_an_odd_interval_is_as_good_as_none(start: Start) -> None:
    for odd in ("10s", float("nan"), -1, None):
        provider = Told(["127.0.0.1:1"])
        provider.interval = provider.longest_pause = odd  # type: ignore[assignment]
        proxy = start(provided(provider))
        provider.tell(RuntimeError("down"))
        provider.tell(["127.0.0.1:3"])
        assert told(proxy, "discovery_fresh")
        assert servers(proxy) == ["127.0.0.1:3"]


def test_whoever_says_nothing_holds_the_start_up_for_a_bounded_time(
    start: Start, origin: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr("headworks.providers.sources.PATIENCE", 0.2)
    app = origin(name="app")
    provider = Told()
    proxy = start(provided(provider, app.address))
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    assert "no servers within 0.2 s" in str(source(proxy).failure)
    provider.tell(["127.0.0.1:9"])
    until(lambda: "127.0.0.1:9" in servers(proxy))


class Blocks(headworks.Provider):
    """Blocks the loop of all providers, which it must not."""

    def __init__(self) -> None:
        self.released = threading.Event()

    async def servers(self) -> AsyncIterator[Any]:
        yield ["127.0.0.1:9"]
        self.released.wait(30)


def test_one_that_blocks_hurts_neither_traffic_nor_a_reload(start: Start, origin: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("headworks.providers.sources.PATIENCE", 0.2)
    monkeypatch.setattr("headworks.providers.sources.ENDING", 0.2)
    app, blocking = origin(name="app"), Blocks()
    config = provided(blocking, app.address)
    config["backends"]["app"]["servers"] = [app.address, {"address": "provider:told", "backup": True}]
    proxy = start(config)
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    proxy.reload(tcp(app.address))
    assert servers(proxy) == [app.address]
    proxy.reload(provided(Told(["127.0.0.1:9"]), app.address))
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    blocking.released.set()
    proxy.stop()


class Waits(headworks.Provider):
    """Waits in a thread for what never comes."""

    released = threading.Event()

    async def servers(self) -> AsyncIterator[Any]:
        yield ["127.0.0.1:9"]
        await asyncio.to_thread(self.released.wait, 60)


def test_threads_that_hang_keep_nobody_else_waiting(start: Start) -> None:
    provider = Told(["127.0.0.1:1"])
    config = provided(provider)
    for number in range(20):
        config["providers"][f"w{number}"] = {"python": Waits}
        config["backends"][f"w{number}"] = {"servers": [f"provider:w{number}"]}
    proxy = start(config)
    try:
        provider.tell(["127.0.0.1:2"])
        until(lambda: servers(proxy) == ["127.0.0.1:2"])
    finally:
        Waits.released.set()


class Hasty(headworks.Provider):
    """Yields without ever waiting."""

    def __init__(self) -> None:
        self.count = 0

    async def servers(self) -> AsyncIterator[Any]:
        while True:
            self.count += 1
            yield ["127.0.0.1:8", f"127.0.0.1:{self.count % 1000 + 1000}"]


def test_one_that_yields_all_the_time_is_slowed_down(start: Start) -> None:
    hasty = Hasty()
    proxy = start(provided(hasty))
    changes = []
    with contextlib.closing(proxy.notices()) as notices:
        for notice in notices:
            if notice.kind == "servers_changed":
                changes.append(time.monotonic())
            if len(changes) == 4:
                break
    # The first one and those after: one a second.
    assert changes[3] - changes[1] > 1.8
    assert hasty.count < 100 * (time.monotonic() - changes[0] + 3)


class Forgetful(headworks.Provider):
    """Returns what it should yield."""

    async def servers(self) -> Any:  # type: ignore[override]
        return ["127.0.0.1:9"]


class Nothing(headworks.Provider):
    pass


def test_classes_that_cannot_work_are_problems() -> None:
    for wrong, said in (
        (Forgetful, "yields nothing"),
        (Nothing, "has no servers"),
        (dict, "derive it from headworks.Provider"),
        ("nowhere:Provider", "there is no module nowhere"),
        ("no name", "is not module:Class"),
    ):
        with pytest.raises(ConfigError, match=said):
            headworks.Config.parse(provided(wrong))
    with pytest.raises(ConfigError, match="unknown argument; Told takes none"):
        headworks.Config.parse(provided(Told, arguments={"a": 1}))


def test_a_class_that_raises_keeps_the_proxy_from_starting() -> None:
    class Broken(Told):
        def __init__(self) -> None:
            raise OSError("no table")

    with pytest.raises(ConfigError, match=r"provider:told cannot be made: OSError: no table"):
        Proxy(provided(Broken)).start()


def test_modules_beside_the_file_are_found_and_made_anew_when_they_change(tmp_path: Path) -> None:
    module, file = tmp_path / "inventory.py", tmp_path / "headworks.toml"
    text = """
import asyncio
import headworks

class Inventory(headworks.Provider):
    def __init__(self, port: int) -> None:
        self.port = port

    async def servers(self):
        yield [f"127.0.0.1:{self.port + ADDED}"]
        await asyncio.sleep(3600)
"""
    module.write_text(text.replace("ADDED", "1"))
    file.write_text(
        'logs.access = "off"\n[listeners.raw]\nbind = "127.0.0.1:0"\nprotocol = "tcp"\nbackend = "app"\n'
        '[backends.app]\nservers = ["provider:inventory"]\n'
        '[providers.inventory]\npython = "inventory:Inventory"\narguments = { port = 100 }\n'
    )
    with Proxy(file) as proxy:
        assert servers(proxy) == ["127.0.0.1:101"]
        module.write_text(text.replace("ADDED", "2"))
        proxy.reload()
        assert servers(proxy) == ["127.0.0.1:102"]
        file.write_text(file.read_text().replace("100", "200"))
        proxy.reload()
        assert servers(proxy) == ["127.0.0.1:202"]


def test_a_reload_keeps_those_that_are_the_same_and_ends_those_that_are_gone(start: Start) -> None:
    provider = Told(["127.0.0.1:1"])
    config = provided(provider)
    proxy = start(config)
    proxy.reload(config | {"logs": {"level": "debug"}})
    assert servers(proxy) == ["127.0.0.1:1"]
    assert provider.calls == 1
    changed = provided(provider, "127.0.0.1:5")
    proxy.reload(changed)
    assert servers(proxy) == ["127.0.0.1:1", "127.0.0.1:5"]
    assert provider.calls == 1, "other servers beside it are nothing to it"
    proxy.reload(tcp("127.0.0.1:5"))
    assert servers(proxy) == ["127.0.0.1:5"]
    assert proxy.stats().backends["app"].sources == {}
    assert provider.ended.wait(30)


def test_one_that_is_replaced_leaves_its_servers_until_there_are_better(start: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr("headworks.providers.sources.PATIENCE", 0.2)
    proxy = start(provided(Told(["127.0.0.1:1", "127.0.0.1:2"])))
    successor = Told()
    proxy.reload(provided(successor))
    assert servers(proxy) == ["127.0.0.1:1", "127.0.0.1:2"]
    successor.tell([])
    until(lambda: "min_servers" in str(source(proxy).failure))
    assert servers(proxy) == ["127.0.0.1:1", "127.0.0.1:2"]
    successor.tell(["127.0.0.1:3"])
    until(lambda: servers(proxy) == ["127.0.0.1:3"])


def test_a_reload_that_is_not_taken_changes_nothing(start: Start, origin: Make) -> None:
    app = origin(name="app")
    provider, successor = Told([app.address]), Told(["127.0.0.1:7"])
    proxy = start(provided(provider))
    wrong = provided(successor)
    wrong["listeners"]["more"] = {"bind": app.address, "protocol": "tcp", "backend": "app"}
    with pytest.raises(headworks.BindError):
        proxy.reload(wrong)
    assert servers(proxy) == [app.address]
    assert successor.ended.wait(30)
    provider.tell([app.address, "127.0.0.1:8"])
    until(lambda: len(servers(proxy)) == 2)


def test_nobody_is_told_of_stand_ins(start: Start) -> None:
    provider = Told(["127.0.0.1:1"])
    proxy = start(provided(provider))
    proxy.reload(provided(provider, "127.0.0.1:2"))
    provider.tell(["127.0.0.1:3"])
    with contextlib.closing(proxy.notices()) as notices:
        seen = []
        for notice in notices:
            seen.append(notice)
            if notice.facts.get("added") == ["127.0.0.1:3"]:
                break
    assert "127.255.255.254" not in str(seen)
    assert "127.255.255.254" not in str(proxy.stats())


def test_drain_and_stop_end_them_and_their_thread(start: Start) -> None:
    provider = Told(["127.0.0.1:1"])
    proxy = start(provided(provider))
    assert any(one.name == "providers" for one in threading.enumerate())
    assert proxy.drain(0)
    assert provider.ended.wait(30)
    assert servers(proxy) == ["127.0.0.1:1"]
    proxy.stop()
    until(lambda: not any(one.name == "providers" for one in threading.enumerate()))


def test_a_proxy_without_providers_has_no_thread_for_them(start: Start) -> None:
    start(tcp("127.0.0.1:1"))
    assert not any(one.name == "providers" for one in threading.enumerate())


def test_servers_change_under_load_and_no_request_fails(start: Start, http_origin: MakeHttp) -> None:
    good, other = http_origin(name="good"), http_origin(name="other")
    provider = Told([good.address])
    config = http("provider:told", retries=2) | {"providers": {"told": {"python": provider}}}
    proxy = start(config)
    over = threading.Event()
    turns = 0

    def change() -> None:
        nonlocal turns
        kinds: list[Any] = [
            [good.address, other.address],
            RuntimeError("down"),
            [good.address],
            [],
            [good.address, "127.0.0.1:1"],
            "junk",
        ]
        while not over.wait(0.1):
            provider.tell(kinds[turns % len(kinds)])
            if turns % 7 == 0:
                proxy.reload(config | {"logs": {"level": ("debug", "info")[turns % 2], "access": "off"}})
            turns += 1

    changing = threading.Thread(target=change)
    changing.start()
    try:
        count = 0
        while turns < 60 or count < 500:
            answer = ask(proxy.address("web"), get("/"))
            assert answer.status == 200, (answer, turns)
            count += 1
    finally:
        over.set()
        changing.join()


# ---- files


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    file = tmp_path / "servers.json"
    file.write_text('["127.0.0.1:1"]')
    return file


def followed(file: Path, **settings: Any) -> Config:
    return tcp(f"file:{file}") | {"providers": {"file": {"interval": "100ms"} | settings}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '["127.0.0.1:2", {"address": "127.0.0.1:3", "weight": 2, "backup": true}]'),
        ("b.json", '{"servers": ["127.0.0.1:2", {"address": "127.0.0.1:3", "weight": 2, "backup": true}]}'),
        (
            "c.json",
            """[{"targets": ["127.0.0.1:2"]},
            {"targets": ["127.0.0.1:3"], "labels": {"weight": "2", "backup": "true", "job": "x"}}]""",
        ),
        ("d.toml", 'servers = ["127.0.0.1:2", { address = "127.0.0.1:3", weight = 2, backup = true }]'),
        (
            "e.toml",
            """
            [[groups]]
            targets = ["127.0.0.1:2"]
            [[groups]]
            targets = ["127.0.0.1:3"]
            labels = { weight = "2", backup = "true" }""",
        ),
    ],
)
def test_every_form_of_a_file(name: str, text: str, start: Start, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    stats = start(followed(tmp_path / name)).stats().backends["app"].servers
    assert {one: (stats[one].weight, stats[one].backup) for one in stats} == {
        "127.0.0.1:2": (1, False),
        "127.0.0.1:3": (2, True),
    }


def test_a_file_is_watched_however_it_changes(start: Start, listed: Path, tmp_path: Path) -> None:
    proxy = start(followed(listed))
    listed.write_text('["127.0.0.1:2"]')
    until(lambda: servers(proxy) == ["127.0.0.1:2"])
    fresh = tmp_path / "fresh.json"
    fresh.write_text('["127.0.0.1:3"]')
    fresh.replace(listed)
    until(lambda: servers(proxy) == ["127.0.0.1:3"])
    listed.unlink()
    until(lambda: "No such file" in str(source(proxy).failure))
    assert servers(proxy) == ["127.0.0.1:3"]
    listed.write_text('["127.0.0.1:4"]')
    until(lambda: servers(proxy) == ["127.0.0.1:4"])


def test_links_that_are_turned_elsewhere_are_seen(start: Start, tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: servers.json -> ..data/servers.json, ..data -> a folder that is replaced."""
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "servers.json").write_text(f'["127.0.0.1:{number}"]')
        os.utime(tmp_path / f"v{number}" / "servers.json", (1, 1))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "servers.json").symlink_to("..data/servers.json")
    proxy = start(followed(tmp_path / "servers.json"))
    assert servers(proxy) == ["127.0.0.1:1"]
    (tmp_path / "..data_tmp").symlink_to("v2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    until(lambda: servers(proxy) == ["127.0.0.1:2"])


@pytest.mark.parametrize(
    "text", ["", '["127.0.0.1:2", "127.', "{}", '"127.0.0.1:2"', "[" * 100_000, "\ud800", '[{"targets": "x"}]', "pipe"]
)
def test_a_file_that_is_half_there_changes_nothing(text: str, start: Start, listed: Path) -> None:
    proxy = start(followed(listed))
    if text == "pipe":
        listed.unlink()
        os.mkfifo(listed)
    else:
        listed.write_bytes(text.encode("utf-8", "surrogatepass"))
    until(lambda: source(proxy).failure)
    assert str(listed) in str(source(proxy).failure)
    assert servers(proxy) == ["127.0.0.1:1"]
    listed.unlink()
    listed.write_text('["127.0.0.1:2"]')
    until(lambda: servers(proxy) == ["127.0.0.1:2"])


def test_a_relative_file_is_beside_the_configuration(tmp_path: Path, listed: Path) -> None:
    file = tmp_path / "headworks.toml"
    file.write_text(
        '[listeners.raw]\nbind = "127.0.0.1:0"\nprotocol = "tcp"\nbackend = "app"\n'
        '[backends.app]\nservers = ["file:servers.json"]\n'
    )
    assert headworks.Config.load(file).backends["app"].servers[0].address == f"file:{listed}"
    with Proxy(file) as proxy:
        assert servers(proxy) == ["127.0.0.1:1"]
        assert list(proxy.stats().backends["app"].sources) == [f"file:{listed}"]


# ---- what is written


def wrong(*listed: Any, **providers: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        headworks.Config.parse(tcp(*listed) | {"providers": providers})
    return str(caught.value)


def test_references_are_checked(monkeypatch: Any) -> None:
    assert "there is no [providers.app]" in wrong("provider:app")
    assert 'did you mean "provider:inventory"' in wrong("provider:inventry", inventory={"source": "file:a.json"})
    assert 'did you mean "docker:app"' in wrong("dockr:app")
    assert "is not known: file, docker, consul, provider and URLs of lists" in wrong("nacos:app")
    assert "is a URL, and an address is" in wrong("http://127.0.0.1:80")
    assert "shows in logs" in wrong("https://user:secret@sd.internal/app")
    assert "is listed twice" in wrong("docker:app", "docker:app")
    assert "stands alone" in wrong("docker:app", "*:80")
    assert "one of them, and not both" in wrong("127.0.0.1:1", x={})
    assert "is for every docker" in wrong("127.0.0.1:1", docker={"source": "docker:app"})
    assert "is no source" in wrong("127.0.0.1:1", x={"source": "provider:x"})
    assert "is for docker providers, and this is a consul provider" in wrong(
        "127.0.0.1:1", x={"source": "consul:app", "socket": "/x"}
    )
    assert "providers.consul.address" in wrong("consul:app", consul={"address": "consul.internal:8500"})
    monkeypatch.setattr("headworks.config.providers.find_spec", lambda _: None)
    for written, extra in (("docker:app", "docker"), ("consul:app", "consul"), ("https://sd.internal/app", "http")):
        assert f'pip install "headworks[{extra}]"' in wrong(written)


def test_hosts_that_are_called_as_kinds_are_hosts() -> None:
    config = headworks.Config.parse(tcp("docker:80", "consul:8500", "provider:80"))
    assert [one.address for one in config.backends["app"].servers] == ["docker:80", "consul:8500", "provider:80"]


def test_explain_names_the_provider_and_show_writes_it() -> None:
    config = http("docker:app", {"address": "consul:app", "backup": True}) | {
        "providers": {"docker": {"socket": "/run/x.sock"}, "consul": {"tags": "v2"}}
    }
    explained = headworks.explain(config, listener="web", host="a.test")
    assert explained.server == "docker:app"
    assert [one.address for one in explained.servers] == ["docker:app", "consul:app"]
    assert "127.255.255.254" not in str(explained)
    parsed = headworks.Config.parse(config)
    assert headworks.Config.parse(tomllib.loads(parsed.to_toml())) == parsed


def test_tables_that_nothing_follows_are_doubtful() -> None:
    config = tcp("127.0.0.1:1") | {"providers": {"docker": {}, "x": {"source": "file:a.json"}}}
    config["backends"]["app"]["servers"].append("file:/nowhere/servers.json")
    said = [str(one) for one in Proxy(config).warnings]
    assert any("/nowhere/servers.json is not there now" in one for one in said)
    assert any("docker: is among no servers" in one for one in said)
    assert any('"provider:x" is among no servers' in one for one in said)


def test_the_stats_are_plain(start: Start) -> None:
    proxy = start(provided(Told(["127.0.0.1:1"])))
    assert json.dumps(proxy.stats().backends["app"].sources["provider:told"].__dict__)


def test_a_service_says_what_becomes_of_its_sources(tmp_path: Path, listed: Path, origin: Make) -> None:
    app = origin(name="app")
    listed.write_text(json.dumps([app.address]))
    file = tmp_path / "headworks.toml"
    file.write_text(
        'logs.access = "off"\n[listeners.raw]\nbind = "127.0.0.1:0"\nprotocol = "tcp"\nbackend = "app"\n'
        '[backends.app]\nservers = ["file:servers.json"]\n[providers.file]\ninterval = "100ms"\n'
    )
    with running(file) as service:
        assert served_by(service.address("raw"), b"x\n") == "app"
        listed.write_text("[")
        stale = service.line("discovery_stale")
        assert " warning " in stale
        assert f"source=file:{listed}" in stale
        assert "servers=1" in stale
        assert served_by(service.address("raw"), b"x\n") == "app"
        listed.write_text(json.dumps([app.address]))
        service.line("discovery_fresh")


def test_what_was_decided_is_replayed_whoever_was_found(http_origin: MakeHttp, tmp_path: Path) -> None:
    app = http_origin()
    config = http("provider:told", balance="path_hash") | {"providers": {"told": {"python": Told([app.address])}}}
    config["logs"] = {"access": "off"}
    with headworks.Recording(config, tmp_path / "tape", plain=True) as proxy:
        assert ask(proxy.address("web"), get("/")).status == 200
        until(lambda: proxy.written)
    found = headworks.replay(tmp_path / "tape", config)
    assert (found.requests, found.changed) == (1, 0), found.differences
    other = http("127.0.0.1:1", balance="path_hash")
    assert "127.255.255.254" not in str(headworks.replay(tmp_path / "tape", other, against=config))
