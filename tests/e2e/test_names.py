"""Servers by their names: resolved before the start, followed while the proxy runs, kept while nameservers fail."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headworks
from headworks import ConfigError, Proxy
from rig.clients import served_by
from rig.configs import Config, http, tcp
from rig.http_clients import ask, get
from rig.http_origins import HttpOrigin
from rig.nameserver import NXDOMAIN, SERVFAIL, Nameserver
from rig.origins import Origin
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
Make = Callable[..., Origin]


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with Nameserver() as nameserver:
        yield nameserver


def port_of(origin: Origin) -> str:
    return origin.address.rpartition(":")[2]


def named(config: Config, dns: Nameserver, **resolver: Any) -> Config:
    """Let names be asked of a nameserver, anew every 50 ms."""
    keys = {"nameservers": dns.address, "min_ttl": "50ms", "max_ttl": "1s", "timeout": "200ms", "attempts": 1}
    return config | {"resolver": keys | resolver}


def servers(proxy: Proxy) -> list[str]:
    return sorted(proxy.stats().backends["app"].servers)


def test_localhost_is_a_server(start: Start, origin: Make) -> None:
    app = origin(name="app")
    proxy = start(tcp(f"localhost:{port_of(app)}") | {"resolver": {"families": "ipv4"}})
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    assert servers(proxy) == [app.address]


def test_a_name_is_resolved_before_anybody_is_served(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    dns.set("app.internal", "127.0.0.1")
    proxy = start(named(tcp(f"app.internal:{port_of(app)}"), dns))
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    name = proxy.stats().backends["app"].names[f"app.internal:{port_of(app)}"]
    assert (name.addresses, name.failure) == (1, None)
    assert name.age is not None


def test_servers_come_and_go_with_the_answers(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    dns.set("app.internal", "127.0.0.1", "127.0.0.2")
    proxy = start(named(tcp(f"app.internal:{port_of(app)}"), dns))
    port = port_of(app)
    assert servers(proxy) == [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]
    with contextlib.closing(proxy.notices()) as notices:
        dns.set("app.internal", "127.0.0.1", "127.0.0.3")
        notice = next(one for one in notices if one.kind == "servers_changed" and one.facts["removed"])
    assert (notice.facts["added"], notice.facts["removed"]) == ([f"127.0.0.3:{port}"], [f"127.0.0.2:{port}"])
    proxy.set_server("app", f"127.0.0.1:{port}", admin="drain")
    dns.set("app.internal", "127.0.0.1")
    until(lambda: servers(proxy) == [f"127.0.0.1:{port}"])
    assert proxy.stats().backends["app"].servers[f"127.0.0.1:{port}"].admin == "drain", "one that stays keeps its state"


@pytest.mark.parametrize("trouble", ["servfail", "nxdomain", "silent", "gone"])
def test_the_last_good_answer_stays_while_there_is_none(
    trouble: str, start: Start, origin: Make, dns: Nameserver
) -> None:
    app = origin(name="app")
    dns.set("app.internal", "127.0.0.1")
    proxy = start(named(tcp(f"app.internal:{port_of(app)}"), dns, stale="1s"))
    with contextlib.closing(proxy.notices()) as notices:
        dns.failure = {"servfail": SERVFAIL, "nxdomain": NXDOMAIN}.get(trouble, 0)
        dns.is_silent = trouble == "silent"
        if trouble == "gone":
            dns.close()
        notice = next(one for one in notices if one.kind == "name_unresolved")
        assert notice.facts["kept"] is True
        assert notice.level == "warning"
        for _ in range(20):
            assert served_by(proxy.address("raw"), b"x\n") == "app"
        (name,) = proxy.stats().backends["app"].names.values()
        assert (name.addresses, name.failure) == (1, notice.facts["reason"])
        if trouble == "gone":
            return
        dns.failure, dns.is_silent = 0, False
        assert next(one for one in notices if one.kind == "name_resolved").facts["backend"] == "app"


def test_a_name_without_an_answer_is_a_state_and_not_an_error(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    proxy = start(named(http(f"app.internal:{port_of(app)}"), dns))
    assert ask(proxy.address("web"), get("/")).status == 503
    assert servers(proxy) == []
    (name,) = proxy.stats().backends["app"].names.values()
    assert (name.addresses, name.age, name.failure) == (0, None, "no_such_name")
    dns.set("app.internal", "127.0.0.1")
    until(lambda: servers(proxy) != [])


def test_a_service_has_ports_and_tiers(start: Start, origin: Make, dns: Nameserver) -> None:
    first, second = origin(name="first"), origin(name="second")
    dns.set("a.internal", "127.0.0.1")
    service = "_http._tcp.app.internal"
    dns.set_service(service, (1, 5, int(port_of(first)), "a.internal"), (2, 5, int(port_of(second)), "a.internal"))
    proxy = start(named(tcp(f"srv:{service}"), dns))
    stats = proxy.stats().backends["app"].servers
    assert {address: one.backup for address, one in stats.items()} == {first.address: False, second.address: True}
    assert {served_by(proxy.address("raw"), b"x\n") for _ in range(5)} == {"first"}


def test_answers_that_are_cut_are_asked_for_by_tcp(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    dns.truncates = True
    dns.set("app.internal", *(f"127.0.1.{number}" for number in range(1, 201)))
    proxy = start(named(tcp(f"app.internal:{port_of(app)}"), dns))
    assert len(servers(proxy)) == 200


def test_a_reload_keeps_what_was_found(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    dns.set("app.internal", "127.0.0.1")
    config = named(tcp(f"app.internal:{port_of(app)}"), dns)
    proxy = start(config)
    dns.is_silent = True
    proxy.reload(config | {"logs": {"level": "debug"}})
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    dns.is_silent = False
    dns.set("app.internal", "127.0.0.2")
    until(lambda: servers(proxy) == [f"127.0.0.2:{port_of(app)}"])


def test_answers_change_under_load_and_no_connection_fails(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    dns.set("app.internal", "127.0.0.1")
    proxy = start(named(tcp(f"app.internal:{port_of(app)}", retries=2), dns))
    over = threading.Event()
    changes = 0

    def change() -> None:
        nonlocal changes
        while not over.wait(0.05):
            changes += 1
            dns.failure = SERVFAIL if changes % 5 == 0 else 0
            dns.truncates = changes % 3 == 0
            # The others refuse: they are tried, and passed over.
            dns.set("app.internal", "127.0.0.1", *(f"127.0.0.{2 + (changes + n) % 6}" for n in range(changes % 3)))

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(600):
            assert served_by(proxy.address("raw"), b"x\n") == "app"
        until(lambda: changes > 20)
    finally:
        over.set()
        changing.join()
    assert proxy.stats().backends["app"].failed == 0


def test_hosts_and_search_domains(start: Start, origin: Make, dns: Nameserver, tmp_path: Path) -> None:
    app, other = origin(name="app"), origin(name="other")
    hosts, resolv = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text("127.0.0.1 app # ours\n")
    resolv.write_text("search internal\n")
    config = tcp(f"app:{port_of(app)}")
    config["backends"]["other"] = {"servers": [f"other.internal:{port_of(other)}"]}
    dns.set("other.internal", "127.0.0.1")
    proxy = start(named(config, dns, hosts=str(hosts), resolv_conf=str(resolv)))
    assert servers(proxy) == [app.address]
    assert list(proxy.stats().backends["other"].servers) == [other.address]
    assert "app" not in dns.queries


def test_servers_are_added_and_removed_while_it_runs(start: Start, origin: Make) -> None:
    first, second = origin(name="first"), origin(name="second")
    config = tcp(first.address)
    proxy = start(config)
    proxy.add_server("app", second.address, weight=3)
    assert servers(proxy) == sorted([first.address, second.address])
    proxy.remove_server("app", first.address)
    assert {served_by(proxy.address("raw"), b"x\n") for _ in range(4)} == {"second"}
    proxy.reload(config | {"logs": {"level": "debug"}})
    assert servers(proxy) == [second.address], "the file says the same of them"
    proxy.reload(tcp(first.address, "127.0.0.1:9"))
    assert servers(proxy) == sorted([first.address, "127.0.0.1:9"])
    with pytest.raises(KeyError):
        proxy.remove_server("app", second.address)
    with pytest.raises(KeyError):
        proxy.add_server("nowhere", second.address)
    for wrong in ("app.internal:80", "127.0.0.1:0", "fd:3", "nonsense"):
        with pytest.raises(ValueError, match=r"address|port|descriptor|name"):
            proxy.add_server("app", wrong)


def test_a_source_gives_servers_beside_those_of_the_file(start: Start, origin: Make) -> None:
    first, second = origin(name="first"), origin(name="second")
    config = tcp(first.address)
    proxy = start(config)
    proxy.set_servers("app", "docker", [second.address, {"address": "127.0.0.1:9", "backup": True}])
    assert servers(proxy) == sorted([first.address, second.address, "127.0.0.1:9"])
    proxy.reload(tcp("127.0.0.1:8"))
    assert servers(proxy) == sorted(["127.0.0.1:8", second.address, "127.0.0.1:9"])
    with pytest.raises(ValueError, match=r"not-an-address"):
        proxy.set_servers("app", "docker", ["not-an-address"])
    proxy.set_servers("app", "docker", [])
    assert servers(proxy) == ["127.0.0.1:8"]


def web(*binds: str, **backend: Any) -> Config:
    listeners = {f"l{number}": {"bind": bind, "protocol": "tcp", "backend": "app"} for number, bind in enumerate(binds)}
    return {"listeners": listeners, "backends": {"app": backend}}


def test_a_port_is_inherited_from_the_listeners() -> None:
    config = web("127.0.0.1:8443", "[::1]:8443", servers=["192.0.2.1", "app.internal", "::1", "[2001:db8::1]"])
    explained = headworks.explain(config, listener="l0")
    there = {"192.0.2.1:8443", "app.internal:8443", "[::1]:8443", "[2001:db8::1]:8443"}
    assert {one.address for one in explained.servers} == there
    with pytest.raises(ConfigError, match=r'"app\.internal" lacks a port, and listeners of ports 1 and 2 lead there'):
        headworks.Config.parse(web("127.0.0.1:1", "127.0.0.1:2", servers="app.internal"))
    with pytest.raises(ConfigError, match="lacks a port"):
        headworks.Config.parse(web("127.0.0.1:0", servers="192.0.2.1"))


def test_what_is_no_name_is_a_problem() -> None:
    for wrong in ("app..internal:80", "127.1:80", "256.1.1.1:80", "-:80 x", "srv:app.internal", "http://app:80"):
        with pytest.raises(ConfigError):
            headworks.Config.parse(web("127.0.0.1:1", servers=wrong))
    for keys in ({"nameservers": "dns.internal"}, {"families": "ipv5"}, {"min_ttl": "2s", "max_ttl": "1s"}):
        with pytest.raises(ConfigError):
            headworks.Config.parse(web("127.0.0.1:1", servers="a:1") | {"resolver": keys})


def test_a_dead_name_does_not_hold_a_reload_up(start: Start, origin: Make, dns: Nameserver) -> None:
    """It was asked for once: a reload does not wait for it again."""
    app = origin(name="app")
    dns.is_silent = True
    config = named(tcp(f"gone.internal:{port_of(app)}", app.address), dns)
    proxy = start(config)
    asked = proxy.stats().resolver.asks
    proxy.reload(config | {"logs": {"level": "debug"}})
    assert served_by(proxy.address("raw"), b"x\n") == "app"
    until(lambda: proxy.stats().resolver.asks > asked)


def test_a_backend_whose_servers_clients_name_is_given_none(start: Start) -> None:
    config = tcp("127.0.0.1:1")
    config["backends"]["any"] = {"servers": "*:443", "allow_destinations": ["0.0.0.0/0"]}
    proxy = start(config)
    with pytest.raises(ValueError, match="clients name"):
        proxy.add_server("any", "192.0.2.1:80")
