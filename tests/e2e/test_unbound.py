"""Names that a real nameserver answers for, whose answers come, change, fail and stay away under load."""

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headworks import Proxy
from rig.clients import served_by
from rig.configs import Config, http, tcp
from rig.http_clients import ask, get
from rig.http_origins import HttpOrigin
from rig.origins import Origin
from rig.unbound import Unbound
from rig.waiting import until

Start = Callable[[Config], Proxy]
NAME = "web.app.test."


@pytest.fixture
def dns(tmp_path: Path) -> Iterator[Unbound]:
    server = Unbound(tmp_path, [f"{NAME} 1 IN A 127.0.0.1"])
    yield server
    server.close()


def named(config: Config, dns: Unbound, **resolver: object) -> Config:
    return config | {"resolver": {"nameservers": dns.address, "min_ttl": "50ms"} | resolver}


def has(proxy: Proxy, address: str) -> bool:
    return address in addresses(proxy)


def addresses(proxy: Proxy) -> set[str]:
    return {address.rpartition(":")[0] for address in proxy.stats().backends["app"].servers}


def test_no_request_fails_whatever_the_nameserver_does(
    start: Start, http_origin: Callable[..., HttpOrigin], dns: Unbound
) -> None:
    """Each trouble in turn, under load: answers that change, no such name, no answer, and back again."""
    port = http_origin(name="app").address.rpartition(":")[2]
    keys = {"timeout": "100ms", "attempts": 1, "max_ttl": "1s", "stale": "1m"}
    proxy = start(named(http(f"{NAME}:{port}", retries=3), dns, **keys))
    over, statuses = threading.Event(), []

    def load() -> None:
        while not over.is_set():
            statuses.append(ask(proxy.address("web"), get("/")).status)

    def served() -> None:
        """Wait for another ten answers."""
        wanted = len(statuses) + 10
        until(lambda: len(statuses) >= wanted)

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for last in (2, 3, 4):
            # Nobody listens at the others: requests that are given to them are tried elsewhere.
            dns.set(NAME, "0 IN A 127.0.0.1", f"0 IN A 127.0.0.{last}")
            until(functools.partial(has, proxy, f"127.0.0.{last}"))
            served()
        dns.set(NAME)
        until(lambda: failure(proxy) is not None)
        served()
        dns.set(NAME, "0 IN A 127.0.0.1")
        until(lambda: failure(proxy) is None)
        dns.pause()
        until(lambda: failure(proxy) is not None)
        served()
        dns.resume()
        until(lambda: failure(proxy) is None)
        assert addresses(proxy) == {"127.0.0.1"}
    finally:
        over.set()
        loading.join()
    assert set(statuses) == {200}


def failure(proxy: Proxy) -> str | None:
    (name,) = proxy.stats().backends["app"].names.values()
    return name.failure


def test_answers_too_long_for_a_datagram_come_by_tcp(start: Start, dns: Unbound) -> None:
    dns.set(NAME, *(f"1 IN A 127.0.2.{number}" for number in range(1, 201)))
    proxy = start(named(tcp(f"{NAME}:1"), dns))
    assert len(addresses(proxy)) == 200
    assert proxy.stats().resolver.connections >= 1


def test_services_and_their_changes(start: Start, origin: Callable[..., Origin], dns: Unbound) -> None:
    first, second = origin(name="first"), origin(name="second")
    ports = [one.address.rpartition(":")[2] for one in (first, second)]
    service = "_web._tcp.app.test."
    dns.set(service, *(f"0 IN SRV {tier} 5 {port} {NAME}" for tier, port in enumerate(ports, 1)))
    proxy = start(named(tcp(f"srv:{service}"), dns))
    assert served_by(proxy.address("raw"), b"x\n") == "first"
    dns.set(service, f"0 IN SRV 1 5 {ports[1]} {NAME}")
    until(lambda: served_by(proxy.address("raw"), b"x\n") == "second")


@pytest.mark.timeout(120)
def test_ten_thousand_names(start: Start, tmp_path: Path) -> None:
    count = 10_000
    records = (f"n{one}.app.test. 60 IN A 127.{one // 65_536}.{one // 256 % 256}.{one % 256}" for one in range(count))
    dns = Unbound(tmp_path, records)
    try:
        servers = [f"n{number}.app.test.:1" for number in range(count)]
        proxy = start(named(tcp(*servers), dns, families="ipv4", timeout="10s"))
        until(lambda: proxy.stats().resolver.answers == count, patience=100)
        assert len(proxy.stats().backends["app"].servers) == count
    finally:
        dns.close()
