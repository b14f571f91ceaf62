"""Reloads: nothing that runs is disturbed, whatever is added, removed, or wrong with the new configuration."""

import contextlib
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from headworks import BindError, ConfigError, Proxy
from rig.clients import connect, exactly, line, served_by
from rig.configs import Config, tcp, tls
from rig.hello import client_hello
from rig.origins import Origin, named_echo
from rig.process import running, write
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

HELLO = client_hello("a.test")


class Load:
    """Clients that come and go without a pause; every one that is not served to the byte is a failure."""

    def __init__(self, target: tuple[str, int], names: set[str]) -> None:
        self.served = 0
        self.failures: list[str] = []
        self._target = target
        self._names = names
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                name = served_by(self._target, HELLO)
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
                continue
            if name not in self._names:
                self.failures.append(f"served by {name!r}")
            self.served += 1


def _versions(one: str, two: str, path: Path) -> list[Config]:
    """Configurations that differ in everything but the listener that the load goes to."""
    first = tls({"*": "app"}, {"app": [one]})
    second = tls({"a.test": "other", "*": "app"}, {"app": [one], "other": [two, one]}, timeouts={"idle": "5m"})
    second["listeners"]["extra"] = {"bind": f"unix:{path}", "protocol": "tcp", "backend": "other"}
    third = tls({"~^a": "app", "*": "app"}, {"app": [two]}, keepalive=False, max_connections=5000)
    third["listeners"]["another"] = {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}
    for version in (first, second, third):
        version["proxy"] = {"workers": 2}
        version["logs"] = {"access": "off"}
    return [first, second, third]


@pytest.mark.slow
def test_a_hundred_reloads_under_load(origin: MakeOrigin, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    one, two = origin(name="one"), origin(name="two")
    extra = tmp_path / "extra.sock"
    versions = _versions(one.address, two.address, extra)
    file = write(tmp_path / "headworks.toml", versions[0])
    texts = [write(tmp_path / f"{number}.toml", version).read_text() for number, version in enumerate(versions)]
    proxy = stack.enter_context(running(file))
    target = proxy.address("secure")
    with connect(target) as kept, Load(target, {"one", "two"}) as load:
        kept.sendall(HELLO)
        assert line(kept) == "one"
        assert exactly(kept, len(HELLO)) == HELLO
        for number in range(1, 101):
            before = load.served
            file.write_text(texts[number % 3])
            said = proxy.reload()
            assert proxy.address("secure", said) == target
            if number % 3 == 1:
                assert served_by((str(extra), 0), b"x") in ("one", "two")
            else:
                assert not extra.exists()
            if number % 3 == 2:
                assert served_by(proxy.address("another", said), b"x") == "two"
            kept.sendall(b"%d" % number)
            assert exactly(kept, len(str(number))) == b"%d" % number
            until(lambda: load.served > before, "the load is served on")  # noqa: B023
    assert load.failures == []
    assert load.served > 400
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0


def test_reloads_from_python_under_load(start: Start, origin: MakeOrigin, tmp_path: Path) -> None:
    one, two = origin(name="one"), origin(name="two")
    versions = _versions(one.address, two.address, tmp_path / "extra.sock")
    proxy = start(versions[0])
    with Load(proxy.address("secure"), {"one", "two"}) as load:
        for number in range(60):
            assert proxy.reload(versions[number % 3]) == ()
        until(lambda: load.served > 100)
    assert load.failures == []


def test_clients_of_a_listener_that_is_removed(start: Start, origin: MakeOrigin) -> None:
    """Its connections go on; nobody new is taken, and those who waited already are served."""
    config = tcp(origin(name="app").address)
    config["listeners"]["gone"] = config["listeners"]["raw"] | {"bind": "127.0.0.1:0"}
    proxy = start(config)
    target = proxy.address("gone")
    with connect(target) as client:
        client.sendall(b"x")
        assert exactly(client, 5) == b"app\nx"
        del config["listeners"]["gone"]
        proxy.reload(config)
        with pytest.raises(KeyError):
            proxy.address("gone")
        with pytest.raises(ConnectionRefusedError):
            served_by(target, b"x")
        client.sendall(b"y")
        assert exactly(client, 1) == b"y"
        # It is still open, whatever became of its listener.
        assert proxy.stats().connections == 1
        assert proxy.drain(0.01) is False
    assert proxy.drain(20) is True


def test_connections_keep_their_server_when_it_is_removed(start: Start, origin: MakeOrigin) -> None:
    one, two = origin(name="one"), origin(name="two")
    proxy = start(tcp(one.address))
    with connect(proxy.address("raw")) as client:
        client.sendall(b"x")
        assert exactly(client, 5) == b"one\nx"
        proxy.reload(tcp(two.address))
        assert served_by(proxy.address("raw"), b"x") == "two"
        client.sendall(b"y")
        assert exactly(client, 1) == b"y"


def test_clients_that_are_being_inspected_keep_their_configuration(start: Start, origin: MakeOrigin) -> None:
    one, two = origin(name="one"), origin(name="two")
    proxy = start(tls({"*": "app"}, {"app": one.address}))
    with connect(proxy.address("secure")) as client:
        client.sendall(HELLO[:30])
        until(lambda: [row.bytes_in for row in proxy.connections()] == [30])
        proxy.reload(tls({"*": "app"}, {"app": two.address}))
        client.sendall(HELLO[30:])
        assert line(client) == "one"
    assert served_by(proxy.address("secure"), HELLO) == "two"


def test_counters_and_states_are_carried(start: Start, origin: MakeOrigin) -> None:
    one, two = origin(name="one"), origin(name="two")
    config = tcp(one.address)
    proxy = start(config)
    for _ in range(3):
        assert served_by(proxy.address("raw"), b"x") == "one"
    proxy.set_server("app", one.address, admin="drain")
    with connect(proxy.address("raw")):
        pass
    until(lambda: proxy.stats().listeners["raw"].connections == 4, "the last client is accepted")
    until(lambda: proxy.stats().connections == 0)
    before = proxy.stats()
    config["backends"]["app"]["servers"] = [two.address, one.address]
    config["listeners"]["raw"]["timeouts"] = {"idle": "1m"}
    proxy.reload(config)
    after = proxy.stats()
    assert after.listeners["raw"] == before.listeners["raw"]
    assert after.backends["app"].servers[one.address] == before.backends["app"].servers[one.address]
    assert after.backends["app"].connections == before.backends["app"].connections == 3
    assert served_by(proxy.address("raw"), b"x") == "two"
    until(lambda: proxy.stats().connections == 0)
    grown = proxy.stats()
    assert grown.listeners["raw"].connections == before.listeners["raw"].connections + 1
    assert grown.listeners["raw"].bytes_in == before.listeners["raw"].bytes_in + 1
    assert grown.backends["app"].servers[one.address].connections == 3


def test_what_is_wrong_changes_nothing(start: Start, origin: MakeOrigin) -> None:
    config = tcp(origin(name="app").address)
    proxy = start(config)
    target = proxy.address("raw")
    bad = tcp("localhost:80", listener={"backend": "missing", "colour": "red"}, retries=-1)
    with pytest.raises(ConfigError) as caught:
        proxy.reload(bad)
    assert len(caught.value.problems) >= 3, caught.value.problems
    assert served_by(target, b"x") == "app"
    assert proxy.address("raw") == target
    assert list(proxy.config.listeners) == ["raw"]


def test_what_cannot_be_bound_changes_nothing(start: Start, origin: MakeOrigin) -> None:
    one, two = origin(name="one"), origin(name="two")
    proxy = start(tcp(one.address))
    target = proxy.address("raw")
    worse = tcp(two.address)
    worse["listeners"]["free"] = {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}
    worse["listeners"]["taken"] = {"bind": one.address, "protocol": "tcp", "backend": "app"}
    with pytest.raises(BindError) as caught:
        proxy.reload(worse)
    (failure,) = caught.value.failures
    assert (failure.listener, failure.address) == ("taken", one.address)
    assert "in use" in failure.reason
    assert served_by(target, b"x") == "one"
    assert list(proxy.stats().listeners) == ["raw"]


def test_an_invalid_file_is_logged_and_the_old_configuration_goes_on(
    origin: MakeOrigin, tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    file = write(tmp_path / "headworks.toml", tcp(origin(name="app").address))
    proxy = stack.enter_context(running(file))
    target = proxy.address("raw")
    good = file.read_text()
    for bad, words in (
        (good.replace("retries", "retires"), ("retires", "did you mean")),
        ("[[[", ("not reloaded",)),
        (good.replace("127.0.0.1:0", "192.0.2.77:80"), ("cannot bind", "192.0.2.77:80")),
    ):
        assert bad != good
        file.write_text(bad)
        before = len(proxy.lines)
        proxy.signal(signal.SIGHUP)
        logged = proxy.line("not reloaded", after=before)
        assert all(word in logged for word in words), logged
        assert " error " in logged
        assert served_by(target, b"x") == "app"
    file.unlink()
    before = len(proxy.lines)
    proxy.signal(signal.SIGHUP)
    proxy.line("not reloaded", after=before)
    assert served_by(target, b"x") == "app"
    file.write_text(good)
    proxy.reload()
    assert served_by(target, b"x") == "app"


def test_the_access_log_is_reopened(origin: MakeOrigin, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    log, rotated = tmp_path / "access.log", tmp_path / "access.log.1"
    config = tcp(origin(name="app").address) | {"logs": {"access": str(log)}}
    file = write(tmp_path / "headworks.toml", config)
    proxy = stack.enter_context(running(file))
    target = proxy.address("raw")
    served_by(target, b"x")
    until(lambda: log.read_text().count("\n") == 1)
    log.rename(rotated)
    served_by(target, b"x")
    until(lambda: rotated.read_text().count("\n") == 2, "the old file is written until HUP")
    proxy.reload()
    served_by(target, b"x")
    until(lambda: log.exists() and log.read_text().count("\n") == 1, "the new file is written")
    assert rotated.read_text().count("\n") == 2
    # Also when there is something wrong with the configuration.
    log.rename(rotated)
    file.write_text("nonsense")
    proxy.signal(signal.SIGHUP)
    until(log.exists)
    served_by(target, b"x")
    until(lambda: log.read_text().count("\n") == 1)


def test_keys_that_need_a_restart_are_named(start: Start, origin: MakeOrigin) -> None:
    config = tcp(origin(name="app").address)
    proxy = start(config)
    assert proxy.reload(config | {"proxy": {"workers": 3}, "logs": {"access": "-"}}) == ("proxy.workers", "logs.access")
    assert proxy.stats().workers == 2


def test_addresses_in_every_order(start: Start, origin: MakeOrigin, tmp_path: Path) -> None:
    """An address that stays is not bound again, wherever it moves; changes of its listener's options apply."""
    path = tmp_path / "a.sock"
    config = tcp(origin(name="app").address, listener={"bind": ["127.0.0.1:0", f"unix:{path}"]})
    proxy = start(config)
    inode = path.stat().st_ino
    for change in ({"ipv6_only": True}, {"backlog": 16}, {"keepalive": False}, {"ipv6_only": False}):
        config["listeners"]["raw"] |= change
        proxy.reload(config)
        assert served_by((str(path), 0), b"x") == "app"
        assert path.stat().st_ino == inode
    config["listeners"] = {"renamed": config["listeners"]["raw"] | {"bind": [f"unix:{path}", "127.0.0.1:0"]}}
    proxy.reload(config)
    assert path.stat().st_ino == inode
    assert served_by(proxy.address("renamed"), b"x") == "app"


def test_origin_of_this_rig_tells_names(origin: MakeOrigin) -> None:
    """Were all origins to say the same, nothing above would show anything."""
    assert served_by(("127.0.0.1", origin(named_echo, name="me").port), b"x") == "me"
