"""Which server gets a connection: policies, weights, limits, retries, ejection, health checks, operators."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from headworks import Notice, Proxy
from rig.clients import Target, connect, line, refusal, served_by, to_close
from rig.configs import Config, tcp, tls
from rig.hello import INTERNAL_ERROR, client_hello
from rig.origins import Origin, refusing_port
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]


def _counted(target: Target, count: int, sources: Iterable[str] = ()) -> Counter[str]:
    """Who serves ``count`` connections made one after another."""
    served = Counter(served_by(target, b"x", source=source) for source in sources)
    return served + Counter(served_by(target, b"x") for _ in range(count))


@contextlib.contextmanager
def _held(target: Target, count: int) -> Any:
    """Connections that stay open; gives the names of their servers."""
    with contextlib.ExitStack() as stack:
        names = []
        for _ in range(count):
            client = stack.enter_context(connect(target))
            client.sendall(b"x")
            names.append(line(client))
        yield names


@pytest.fixture
def abc(origin: MakeOrigin) -> dict[str, str]:
    """Addresses of three origins called a, b and c."""
    return {name: origin(name=name).address for name in "abc"}


def test_round_robin_follows_the_weights(start: Start, abc: dict[str, str]) -> None:
    weights = {"a": 1, "b": 3, "c": 0}
    proxy = start(tcp(*({"address": abc[name], "weight": weight} for name, weight in weights.items())))
    assert _counted(proxy.address("raw"), 40) == {"a": 10, "b": 30}


def test_least_connections(start: Start, abc: dict[str, str]) -> None:
    servers = [{"address": abc["a"], "weight": 1}, {"address": abc["b"], "weight": 2}]
    proxy = start(tcp(*servers, balance="least_connections"))
    with _held(proxy.address("raw"), 9) as names:
        assert Counter(names) == {"a": 3, "b": 6}


@pytest.mark.parametrize("balance", ["random", "two_choices"])
def test_chance_reaches_everybody(start: Start, abc: dict[str, str], balance: str) -> None:
    proxy = start(tcp(*abc.values(), balance=balance))
    assert set(_counted(proxy.address("raw"), 120)) == {"a", "b", "c"}


def test_two_choices_prefers_those_with_less_to_do(start: Start, abc: dict[str, str]) -> None:
    proxy = start(tcp(abc["a"], abc["b"], balance="two_choices"))
    with _held(proxy.address("raw"), 40) as names:
        assert Counter(names) == {"a": 20, "b": 20}


def test_source_hash(start: Start, abc: dict[str, str]) -> None:
    proxy = start(tcp(*abc.values(), balance="source_hash"))
    target = proxy.address("raw")
    sources = [f"127.0.0.{number}" for number in range(2, 50)]
    first = {source: served_by(target, b"x", source=source) for source in sources}
    assert set(first.values()) == {"a", "b", "c"}
    assert first == {source: served_by(target, b"x", source=source) for source in sources}
    # Without one server, only its own clients move.
    proxy.set_server("app", abc["b"], admin="maintenance")
    moved = {source: served_by(target, b"x", source=source) for source in sources}
    assert {source: name for source, name in moved.items() if first[source] != "b"} == {
        source: name for source, name in first.items() if name != "b"
    }
    assert "b" not in moved.values()


def test_host_hash(start: Start, abc: dict[str, str]) -> None:
    config = tls({"*": "app"}, {"app": list(abc.values())})
    config["backends"]["app"]["balance"] = "host_hash"
    proxy = start(config)
    hosts = [f"site{number}.test" for number in range(40)]
    first = {host: served_by(proxy.address("secure"), client_hello(host)) for host in hosts}
    assert set(first.values()) == {"a", "b", "c"}
    again = {host: served_by(proxy.address("secure"), client_hello(host.upper() + ".")) for host in hosts}
    assert again == first


def test_backup(start: Start, origin: MakeOrigin) -> None:
    primary, backup = origin(name="primary"), origin(name="backup")
    spare = {"address": backup.address, "backup": True}
    proxy = start(tcp(spare, primary.address, ejection={"failures": 1, "duration": "100ms"}))
    target = proxy.address("raw")
    assert _counted(target, 10) == {"primary": 10}
    primary.refuse()
    assert _counted(target, 10) == {"backup": 10}
    primary.listen()
    until(lambda: served_by(target, b"x") == "primary")


def test_max_connections_of_a_server(start: Start, origin: MakeOrigin) -> None:
    small, large = origin(name="small"), origin(name="large")
    proxy = start(
        tcp({"address": small.address, "max_connections": 2}, {"address": large.address, "max_connections": 5})
    )
    target = proxy.address("raw")
    for _ in range(3):
        with _held(target, 7) as names:
            assert Counter(names) == {"small": 2, "large": 5}
            with connect(target) as one_too_many:
                assert to_close(one_too_many) == b""
        until(lambda: proxy.stats().connections == 0)
    assert (small.accepted, large.accepted) == (6, 15)


def test_retries_go_to_other_servers(start: Start, abc: dict[str, str], stack: contextlib.ExitStack) -> None:
    dead = [stack.enter_context(refusing_port()) for _ in range(2)]
    servers = [dead[0], abc["a"], dead[1]]
    proxy = start(tcp(*servers, retries=2, ejection={"failures": 0}))
    assert _counted(proxy.address("raw"), 30) == {"a": 30}
    stats = proxy.stats().backends["app"]
    failures = sum(server.connect_failures for server in stats.servers.values())
    assert stats.retries == failures > 0
    assert stats.servers[abc["a"]].connections == 30


def test_no_retries_no_other_server(start: Start, abc: dict[str, str], stack: contextlib.ExitStack) -> None:
    config = tls({"*": "app"}, {"app": [stack.enter_context(refusing_port()), abc["a"]]})
    config["backends"]["app"] |= {"retries": 0, "ejection": {"failures": 0}}
    target = start(config).address("secure")
    answers = [refusal(target, client_hello("a.test")) for _ in range(1)]
    assert answers == [INTERNAL_ERROR]
    assert served_by(target, client_hello("a.test")) == "a"


def test_passive_ejection(start: Start, origin: MakeOrigin) -> None:
    good, bad = origin(name="good"), origin(name="bad")
    proxy = start(tcp(bad.address, good.address, ejection={"failures": 2, "duration": "1h"}))
    target = proxy.address("raw")
    bad.refuse()
    assert _counted(target, 10) == {"good": 10}
    stats = proxy.stats().backends["app"].servers[bad.address]
    assert (stats.ejected, stats.connect_failures, stats.up) == (True, 2, True)
    bad.listen()
    assert _counted(target, 10) == {"good": 10}


def test_an_ejected_server_comes_back(start: Start, origin: MakeOrigin) -> None:
    good, bad = origin(name="good"), origin(name="bad")
    proxy = start(tcp(bad.address, good.address, ejection={"failures": 1, "duration": "300ms"}))
    target = proxy.address("raw")
    bad.refuse()
    assert _counted(target, 4) == {"good": 4}
    assert proxy.stats().backends["app"].servers[bad.address].connect_failures >= 1
    bad.listen()
    until(lambda: served_by(target, b"x") == "bad")
    assert _counted(target, 10) == {"good": 5, "bad": 5}


def test_ejected_servers_are_better_than_none(start: Start, origin: MakeOrigin) -> None:
    only = origin(name="only")
    proxy = start(tcp(only.address, ejection={"failures": 1, "duration": "1h"}))
    only.refuse()
    with connect(proxy.address("raw")) as client:
        assert to_close(client) == b""
    assert proxy.stats().backends["app"].servers[only.address].ejected
    only.listen()
    assert served_by(proxy.address("raw"), b"x") == "only"
    assert not proxy.stats().backends["app"].servers[only.address].ejected


@pytest.fixture
def heard(stack: contextlib.ExitStack) -> Callable[[Proxy], list[Notice]]:
    """Collect a proxy's notices."""

    def make(proxy: Proxy) -> list[Notice]:
        found: list[Notice] = []
        thread = threading.Thread(target=_collect, args=(proxy, found))
        thread.start()
        stack.callback(thread.join)
        stack.callback(proxy.stop)
        return found

    return make


def _collect(proxy: Proxy, found: list[Notice]) -> None:
    found.extend(proxy.notices())


def test_health_checks(start: Start, origin: MakeOrigin, heard: Callable[[Proxy], list[Notice]]) -> None:
    steady, shaky = origin(name="steady"), origin(name="shaky")
    health = {"interval": "30ms", "timeout": "5s", "rise": 2, "fall": 3}
    proxy = start(tcp(steady.address, shaky.address, health=health, ejection={"failures": 0}))
    notices, target = heard(proxy), proxy.address("raw")
    until(lambda: shaky.accepted > 2 and steady.accepted > 2, "both are checked")
    assert set(_counted(target, 10)) == {"steady", "shaky"}
    shaky.refuse()
    until(lambda: not proxy.stats().backends["app"].servers[shaky.address].up)
    assert _counted(target, 10) == {"steady": 10}
    until(lambda: [notice.kind for notice in notices] == ["server_down"])
    assert notices[0].facts == {"backend": "app", "server": shaky.address, "reason": "connection refused"}
    assert notices[0].level == "warning"
    shaky.listen()
    until(lambda: proxy.stats().backends["app"].servers[shaky.address].up)
    assert _counted(target, 10) == {"steady": 5, "shaky": 5}
    until(lambda: [notice.kind for notice in notices] == ["server_down", "server_up"])


def test_health_is_kept_over_a_reload(start: Start, origin: MakeOrigin) -> None:
    up, down = origin(name="up"), origin(name="down")
    # A check that is under way at the reload does not bring it up.
    health = {"interval": "30ms", "fall": 1, "rise": 100}
    config = tcp(up.address, down.address, health=health)
    proxy = start(config)
    down.refuse()
    until(lambda: not proxy.stats().backends["app"].servers[down.address].up)
    # From now on no check comes soon: only memory can know.
    config["backends"]["app"]["health"] = health | {"interval": "1h"}
    proxy.reload(config)
    down.listen()
    assert _counted(proxy.address("raw"), 6) == {"up": 6}
    # Without checks nobody would bring it up again.
    del config["backends"]["app"]["health"]
    proxy.reload(config)
    until(lambda: proxy.stats().backends["app"].servers[down.address].up)
    assert _counted(proxy.address("raw"), 6) == {"up": 3, "down": 3}


def test_all_down(start: Start, origin: MakeOrigin) -> None:
    only = origin(name="only")
    config = tls({"*": "app"}, {"app": only.address})
    config["backends"]["app"]["health"] = {"interval": "20ms", "fall": 1, "rise": 1}
    proxy = start(config)
    only.refuse()
    until(lambda: not proxy.stats().backends["app"].servers[only.address].up)
    assert refusal(proxy.address("secure"), client_hello("a.test")) == INTERNAL_ERROR


@pytest.mark.parametrize("admin", ["drain", "maintenance"])
def test_operators_take_a_server_out(start: Start, abc: dict[str, str], admin: Any) -> None:
    proxy = start(tcp(abc["a"], abc["b"]))
    target = proxy.address("raw")
    with _held(target, 2) as names:
        assert sorted(names) == ["a", "b"]
        proxy.set_server("app", abc["a"], admin=admin)
        assert _counted(target, 6) == {"b": 6}
        stats = proxy.stats().backends["app"].servers[abc["a"]]
        assert (stats.admin, stats.active) == (admin, 1)
    proxy.set_server("app", abc["a"], admin="ready")
    assert _counted(target, 6) == {"a": 3, "b": 3}


def test_operators_set_weights(start: Start, abc: dict[str, str]) -> None:
    proxy = start(tcp(abc["a"], abc["b"]))
    target = proxy.address("raw")
    proxy.set_server("app", abc["a"], weight=4)
    assert proxy.stats().backends["app"].servers[abc["a"]].weight == 4
    assert _counted(target, 20) == {"a": 16, "b": 4}
    proxy.set_server("app", abc["a"], weight=0)
    assert _counted(target, 6) == {"b": 6}
    proxy.set_server("app", abc["a"])
    assert _counted(target, 6) == {"a": 3, "b": 3}
    for backend, server in (("app", "127.0.0.1:1"), ("nothing", abc["a"])):
        with pytest.raises(KeyError):
            proxy.set_server(backend, server, admin="drain")
    with pytest.raises(ValueError, match="weight"):
        proxy.set_server("app", abc["a"], weight=257)
    bad: Any = "retired"
    with pytest.raises(ValueError, match="retired"):
        proxy.set_server("app", abc["a"], admin=bad)


def test_slow_start(start: Start, origin: MakeOrigin) -> None:
    """A server that came up gets fewer connections than its weight says, and the whole share in the end."""
    old, new = origin(name="old"), origin(name="new")
    proxy = start(tcp(old.address, new.address, slow_start="10m", health={"interval": "20ms", "fall": 1, "rise": 1}))
    new.refuse()
    until(lambda: not proxy.stats().backends["app"].servers[new.address].up)
    new.listen()
    until(lambda: proxy.stats().backends["app"].servers[new.address].up)
    counted = _counted(proxy.address("raw"), 44)
    assert 0 < counted["new"] <= 8, counted


def test_source_address(start: Start, origin: MakeOrigin) -> None:
    def tells_source(connection: Any, told: Origin) -> None:
        connection.recv(100)
        told.note(connection.getpeername()[0].encode())

    app = origin(tells_source)
    proxy = start(tcp(app.address, source="127.0.0.9"))
    with connect(proxy.address("raw")) as client:
        client.sendall(b"x")
        assert to_close(client) == b""
    assert app.received == [b"127.0.0.9"]


def test_explain_agrees_on_the_server(start: Start, abc: dict[str, str]) -> None:
    from headworks import explain

    config = tcp(*abc.values(), balance="source_hash")
    proxy = start(config)
    for number in range(2, 12):
        client = f"127.0.0.{number}"
        told = explain(config, listener="raw", client=client)
        (name,) = (name for name, address in abc.items() if address == told.server)
        assert served_by(proxy.address("raw"), b"x", source=client) == name


def test_checks_leave_no_trace_at_stop(start: Start, origin: MakeOrigin) -> None:
    app = origin(name="app")
    proxy = start(tcp(app.address, health={"interval": "20ms"}))
    until(lambda: app.accepted > 3)
    proxy.stop()
    until(lambda: app.open == 0)
    count = app.accepted
    time.sleep(0.2)
    assert app.accepted <= count + 1
