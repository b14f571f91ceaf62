"""Clients that the firewall hands over: their original destination is found, and servers see their address.

In network namespaces, so that real rules of the kernel redirect real connections. Skipped where those cannot be made.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rig.network import CLIENT, CLIENT6, ROUTER, SERVER, SERVER6, Network, network, why_not
from rig.process import Running, running, write
from rig.waiting import until

Config = dict[str, Any]

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

NETWORKS = ["10.81.0.0/16", "fd81::/16"]

TPROXY = (
    "{tables} -t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1",
    "{tables} -t mangle -A PREROUTING -i toclient -p tcp --dport 80 -j TPROXY --on-port 8080 --tproxy-mark 1",
    "ip {family} rule add fwmark 1 lookup 100",
    "ip {family} route add local default dev lo table 100",
)
"""The lines of docs/transparent.md."""

REDIRECT = "{tables} -t nat -A PREROUTING -i toclient -p tcp --dport 80 -j REDIRECT --to-ports 8080"


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        yield made


def _handed_over(net: Network, *lines: str) -> None:
    for tables, family in (("iptables", "-4"), ("ip6tables", "-6")):
        net.rules(*(line.format(tables=tables, family=family) for line in lines))


def _config(accept: Config, protocol: str = "tcp", **backend: Any) -> Config:
    return {
        "proxy": {"workers": 2},
        "listeners": {"front": {"bind": ":8080", "protocol": protocol, "backend": "app", "accept": accept}},
        "backends": {"app": {"servers": "original", "allow_destinations": NETWORKS} | backend},
    }


@pytest.fixture
def run(net: Network, stack: ExitStack, tmp_path: Path) -> Any:
    """Run a proxy on the router; gives it, and its records."""

    def start(config: Config) -> Running:
        config["logs"] = {"access": str(tmp_path / "access.log"), "format": "json"}
        file = write(tmp_path / "headworks.toml", config)
        return stack.enter_context(running(file, prefix=net.prefix(net.router), ready="ready"))

    return start


def _record(tmp_path: Path) -> dict[str, Any]:
    lines = until(lambda: (tmp_path / "access.log").read_text().splitlines(), "a record")
    record: dict[str, Any] = json.loads(lines[-1])
    return record


@pytest.mark.parametrize(("server", "shown"), [(SERVER, SERVER), (SERVER6, f"[{SERVER6}]")])
def test_a_redirected_client_comes_to_where_it_wanted(
    net: Network, run: Any, tmp_path: Path, server: str, shown: str
) -> None:
    net.serve(server, 80)
    _handed_over(net, REDIRECT)
    run(_config({"original_destination": True}))
    router = "fd81:2::1" if ":" in server else "10.81.2.1"
    assert net.ask(server, 80) == f"{router} to {server}:80 hello"
    record = _record(tmp_path)
    assert record["original"] == record["server"] == f"{shown}:80"


def test_requests_of_a_redirected_client_go_there_too(net: Network, run: Any, tmp_path: Path) -> None:
    net.serve(SERVER, 80)
    _handed_over(net, REDIRECT)
    run(_config({"original_destination": True}, "http"))
    net.ask(SERVER, 80, "GET / HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
    record = _record(tmp_path)
    assert (record["server"], record["host"]) == (f"{SERVER}:80", "elsewhere.test")


@pytest.mark.parametrize(
    ("server", "client", "source"),
    [(SERVER, CLIENT, "client"), (SERVER6, CLIENT6, "client"), (SERVER, "10.81.2.1", None)],
)
def test_a_transparent_proxy_is_seen_by_nobody(
    net: Network, run: Any, server: str, client: str, source: str | None
) -> None:
    net.serve(server, 80)
    _handed_over(net, *TPROXY)
    run(_config({"transparent": True}, **({"source": source} if source else {})))
    assert net.ask(server, 80) == f"{client} to {server}:80 hello"


def test_many_clients_of_one_address_at_once(net: Network, run: Any) -> None:
    net.serve(SERVER, 80)
    _handed_over(net, *TPROXY)
    run(_config({"transparent": True}, source="client"))
    for number in range(20):
        assert net.ask(SERVER, 80, str(number)) == f"{CLIENT} to {SERVER}:80 {number}"


def test_a_client_that_was_not_redirected_is_refused(net: Network, run: Any, tmp_path: Path) -> None:
    run(_config({"original_destination": True}))
    assert net.ask(ROUTER, 8080) in ("", "reset")
    assert _record(tmp_path)["end"] == "destination_denied"


def test_a_destination_that_is_not_allowed_is_refused(net: Network, run: Any, tmp_path: Path) -> None:
    net.serve(SERVER, 80)
    _handed_over(net, REDIRECT)
    run(_config({"original_destination": True}, allow_destinations=["10.81.1.0/24"]))
    assert net.ask(SERVER, 80) in ("", "reset")
    record = _record(tmp_path)
    assert (record["end"], record["original"]) == ("destination_denied", f"{SERVER}:80")


def test_a_loop_ends(net: Network, run: Any, tmp_path: Path) -> None:
    """Our own connections are redirected back to us: the classical mistake."""
    net.serve(SERVER, 80)
    _handed_over(net, REDIRECT, REDIRECT.replace("PREROUTING -i toclient", "OUTPUT"))
    run(_config({"original_destination": True}))
    assert net.ask(SERVER, 80) in ("", "reset")
    ends = until(
        lambda: found if "loop" in (found := [json.loads(line)["end"] for line in _lines(tmp_path)]) else None,
        "a loop is told",
    )
    assert len(ends) <= 10


def _lines(tmp_path: Path) -> list[str]:
    return (tmp_path / "access.log").read_text().splitlines()


def test_a_client_of_the_other_family_cannot_be_spoken_for(net: Network, run: Any, tmp_path: Path) -> None:
    net.serve(SERVER, 80)
    config = _config({}, servers=f"{SERVER}:80", source="client", allow_destinations=[])
    run(config)
    assert net.ask("fd81:1::1", 8080) in ("", "reset")
    record = _record(tmp_path)
    assert record["end"] == "source_unusable"
    assert record["connect_error"] == "the client's address cannot be used as source"


def test_without_the_capability_it_does_not_start(net: Network, tmp_path: Path) -> None:
    without = ["setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-net_admin,-net_raw"]
    for config, said in (
        (_config({"transparent": True}), "transparent needs CAP_NET_ADMIN"),
        (_config({"original_destination": True}, source="client"), 'source = "client" needs CAP_NET_ADMIN'),
        (_config({"original_destination": True}, connect={"mark": 1}), "connect.mark needs CAP_NET_ADMIN"),
    ):
        file = write(tmp_path / "headworks.toml", config)
        with running(file, prefix=[*net.prefix(net.router), *without], ready="") as process:
            process.line(said)
            assert process.wait() == 1
