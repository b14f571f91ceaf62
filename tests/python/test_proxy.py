"""The facade over a running engine: start, address, reload, stats, drain, and what fails."""

import asyncio
import json
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers

import headworks
from headworks import _engine
from headworks.config import check, loaded
from rig.certificates import key_pem, root, rsa_key


def echo(proxy: headworks.Proxy, sent: bytes, listener: str = "raw") -> bytes:
    """Send ``sent``, end, and return all that comes back."""
    with socket.create_connection(proxy.address(listener)) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_bytes_go_through_and_are_counted(raw, origin):
    with headworks.Proxy(raw) as proxy:
        host, port = proxy.address("raw")
        assert proxy.addresses("raw") == (f"{host}:{port}",)
        assert echo(proxy, b"hello") == b"hello"
        assert proxy.drain(10)
        stats = proxy.stats()
    listener, backend = stats.listeners["raw"], stats.backends["app"]
    assert (stats.workers, stats.connections) == (1, 0)
    assert (listener.connections, listener.active, listener.bytes_in, listener.bytes_out) == (1, 0, 5, 5)
    assert backend.servers[origin].connections == 1
    assert backend.servers[origin].up


@pytest.fixture
def compiled(monkeypatch) -> list[_engine.Plan]:
    """Collect every Plan that is compiled."""
    plans = []

    class Counting:
        @staticmethod
        def compile(spec: str) -> _engine.Plan:
            plans.append(_engine.Plan.compile(spec))
            return plans[-1]

    monkeypatch.setattr(check, "_engine", SimpleNamespace(Plan=Counting, PlanError=_engine.PlanError))
    monkeypatch.setattr(loaded, "_engine", SimpleNamespace(**vars(_engine) | {"Plan": Counting}))
    return plans


def test_a_configuration_is_compiled_once_for_each_start_and_reload(raw, tmp_path, compiled):
    file = tmp_path / "headworks.toml"
    raw["listeners"]["raw"]["tls"] = {"self_signed": True}
    file.write_text(headworks.Config.parse(raw).to_toml())
    compiled.clear()
    with headworks.Proxy(file, watch_interval=3600) as proxy:
        assert len(compiled) == 1
        proxy.reload()
        assert len(compiled) == 2
        proxy.stop()
        proxy.start()
        assert len(compiled) == 2


def test_a_key_that_does_not_sign_is_found_at_the_start(raw, tmp_path):
    """Its public half is that of the certificate, so that nothing shows before TLS is spoken."""
    key = rsa_key()
    numbers = key.private_numbers()
    public = numbers.public_numbers
    wrong = RSAPrivateNumbers(numbers.p, numbers.q, numbers.d - 2, numbers.dmp1, numbers.dmq1, numbers.iqmp, public)
    leaf = root().leaf("app.test", key=key)
    file = tmp_path / "a.pem"
    file.write_text(leaf.pem + key_pem(wrong.private_key(unsafe_skip_rsa_key_validation=True)))
    raw["listeners"]["raw"]["tls"] = {"certificates": str(file)}
    with pytest.raises(headworks.ConfigError) as caught:
        headworks.Proxy(raw).start()
    assert str(caught.value).startswith("listeners.raw.tls.certificates: ")
    assert "a.pem" in str(caught.value)


def test_live_connections_are_listed(raw, origin):
    with headworks.Proxy(raw) as proxy, socket.create_connection(proxy.address("raw")) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        (row,) = proxy.connections()
        assert (row.listener, row.backend, row.server, row.state) == ("raw", "app", origin, "relaying")
        assert row.client == "{}:{}".format(*client.getsockname())
        assert proxy.connections(0) == []


def test_a_reload_keeps_connections_and_counters(raw):
    with headworks.Proxy(raw) as proxy, socket.create_connection(proxy.address("raw")) as client:
        client.sendall(b"before")
        assert client.recv(6) == b"before"
        address = proxy.address("raw")
        assert proxy.reload(raw | {"listeners": raw["listeners"] | {"other": raw["listeners"]["raw"]}}) == ()
        assert proxy.address("raw") == address
        assert echo(proxy, b"other", "other") == b"other"
        client.sendall(b"after")
        assert client.recv(5) == b"after"
        assert proxy.stats().listeners["raw"].connections == 1


def test_a_bad_reload_changes_nothing(raw):
    with headworks.Proxy(raw) as proxy:
        before = proxy.config
        with pytest.raises(headworks.ConfigError) as caught:
            proxy.reload(raw | {"backends": {"ap": {"servers": ["x:0"], "balence": "random"}}})
        assert len(caught.value.problems) == 3
        assert proxy.config is before
        assert echo(proxy, b"still") == b"still"


def test_a_reload_that_cannot_bind_changes_nothing(raw):
    with socket.create_server(("127.0.0.1", 0)) as taken, headworks.Proxy(raw) as proxy:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        more = {"taken": raw["listeners"]["raw"] | {"bind": address}}
        with pytest.raises(headworks.BindError, match=address) as caught:
            proxy.reload(raw | {"listeners": raw["listeners"] | more})
        (failure,) = caught.value.failures
        assert (failure.listener, failure.address) == ("taken", address)
        assert list(proxy.stats().listeners) == ["raw"]
        assert echo(proxy, b"still") == b"still"


def test_a_reload_says_what_needs_a_restart(raw):
    with headworks.Proxy(raw) as proxy:
        assert proxy.reload(raw | {"proxy": {"workers": 2}, "logs": {"access": "off", "format": "json"}}) == (
            "proxy.workers",
            "logs.format",
        )
        assert proxy.stats().workers == 1


def test_a_file_is_read_again(raw, tmp_path):
    file = tmp_path / "headworks.toml"
    file.write_text(headworks.Config.parse(raw).to_toml())
    with headworks.Proxy(file) as proxy:
        file.write_text(file.read_text().replace("listeners.raw", "listeners.renamed"))
        assert proxy.reload() == ()
        assert list(proxy.stats().listeners) == ["renamed"]


def test_a_mapping_cannot_be_read_again(raw):
    with headworks.Proxy(raw) as proxy, pytest.raises(ValueError, match="not made from a file"):
        proxy.reload()


def test_an_address_that_is_taken(raw):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        raw["listeners"]["raw"]["bind"] = address = f"127.0.0.1:{taken.getsockname()[1]}"
        proxy = headworks.Proxy(raw)
        with pytest.raises(headworks.BindError, match=f"listeners.raw: cannot bind {address}: "):
            proxy.start()
        with pytest.raises(RuntimeError):
            proxy.stats()


def test_a_unix_socket(raw, tmp_path):
    path = tmp_path / "x.sock"
    raw["listeners"]["raw"]["bind"] = f"unix:{path}"
    with headworks.Proxy(raw) as proxy:
        assert proxy.address("raw") == (str(path), 0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"x")
            assert client.recv(1) == b"x"
    assert not path.exists()


def test_a_server_out_of_service(raw, origin):
    with headworks.Proxy(raw) as proxy:
        proxy.set_server("app", origin, admin="maintenance", weight=7)
        server = proxy.stats().backends["app"].servers[origin]
        assert (server.admin, server.weight) == ("maintenance", 7)
        assert echo(proxy, b"") == b""
        proxy.set_server("app", origin, admin="ready")
        assert proxy.stats().backends["app"].servers[origin].weight == 1
        assert echo(proxy, b"back") == b"back"
        with pytest.raises(KeyError):
            proxy.set_server("app", "127.0.0.1:1", admin="drain")
        with pytest.raises(ValueError, match="between 0 and 256"):
            proxy.set_server("app", origin, weight=257)
        with pytest.raises(ValueError, match="none of ready"):
            proxy.set_server("app", origin, admin="gone")


def test_notices_of_a_server_that_is_down(raw):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        absent = f"127.0.0.1:{closed.getsockname()[1]}"
    raw["backends"]["app"] = {"servers": [absent], "health": {"interval": "10ms", "fall": 1}}
    with headworks.Proxy(raw) as proxy:
        notice = next(proxy.notices())
        assert (notice.kind, notice.level) == ("server_down", "warning")
        assert (notice.facts["backend"], notice.facts["server"]) == ("app", absent)
        assert not proxy.stats().backends["app"].servers[absent].up


def test_notices_end_when_the_proxy_is_stopped(raw):
    seen = []
    with headworks.Proxy(raw) as proxy:
        thread = threading.Thread(target=lambda: seen.extend(proxy.notices()))
        thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_start_and_stop_may_be_called_twice(raw):
    proxy = headworks.Proxy(raw)
    proxy.start()
    with pytest.raises(RuntimeError, match="already running"):
        proxy.start()
    proxy.stop()
    proxy.stop()
    with proxy:
        assert echo(proxy, b"again") == b"again"


def test_async_with(raw):
    async def main() -> bytes:
        async with headworks.Proxy(raw) as proxy:
            return await asyncio.to_thread(echo, proxy, b"async")

    assert asyncio.run(main()) == b"async"


def test_access_records_are_json_with_the_names_of_the_contract(raw, tmp_path):
    log = tmp_path / "access.log"
    raw["logs"] = {"access": str(log), "format": "json"}
    with headworks.Proxy(raw) as proxy:
        echo(proxy, b"hello")
        assert proxy.drain(10)
    record = json.loads(log.read_text())
    assert (record["listener"], record["backend"], record["bytes_in"], record["bytes_out"]) == ("raw", "app", 5, 5)


def test_an_access_log_that_cannot_be_opened(raw, tmp_path):
    raw["logs"] = {"access": str(tmp_path / "absent" / "access.log")}
    with pytest.raises(FileNotFoundError):
        headworks.Proxy(raw).start()


@pytest.mark.parametrize("form", [dict, Path, str, headworks.Config])
def test_explain_takes_every_source(mapping, tmp_path, form):
    config = headworks.Config.parse(mapping)
    (tmp_path / "x.toml").write_text(config.to_toml())
    source = {dict: mapping, headworks.Config: config}.get(form) or form(tmp_path / "x.toml")
    explanation = headworks.explain(source, listener="secure", sni="WWW.example.org.", client="::1")
    assert (explanation.name, explanation.entry, explanation.backend) == ("www.example.org", "*.example.org", "app")
    assert [server.address for server in explanation.servers] == ["127.0.0.1:8001", "127.0.0.1:8002"]
    assert sum(server.chosen for server in explanation.servers) == 1
    assert "app" in str(explanation)


def test_explain_the_fallback_and_what_is_not_there(mapping):
    assert headworks.explain(mapping, listener="secure", sni="other.test").backend == "legacy"
    with pytest.raises(KeyError):
        headworks.explain(mapping, listener="absent")
    with pytest.raises(ValueError, match="not an IP address"):
        headworks.explain(mapping, listener="secure", client="here")


def test_a_thread_that_waits_for_notices_is_let_go_by_stop() -> None:
    proxy = headworks.Proxy(
        {
            "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}},
            "backends": {"app": {"servers": ["127.0.0.1:1"]}},
        }
    )
    proxy.start()
    waiting = threading.Thread(target=lambda: list(proxy.notices()), daemon=True)
    waiting.start()
    proxy.stop()
    waiting.join(20)
    assert not waiting.is_alive()


def test_notices_are_for_everybody_who_asks(raw):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        absent = f"127.0.0.1:{closed.getsockname()[1]}"
    raw["backends"]["app"] = {"servers": [absent], "health": {"interval": "10ms", "fall": 1}}
    proxy = headworks.Proxy(raw)
    assert list(proxy.notices()) == []
    with proxy:
        one, two = proxy.notices(), proxy.notices()
        assert next(one) == next(two)
    assert list(proxy.notices()) == []
