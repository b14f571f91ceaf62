"""TLS to the servers: verified or refused, names, client certificates, resumption, health checks; nginx and uvicorn."""

import contextlib
import hashlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy
from rig.certificates import root
from rig.clients import exactly
from rig.configs import http as front
from rig.configs import tcp
from rig.http_clients import Client, ask, get, post
from rig.http_origins import HttpOrigin, Reply
from rig.messages import Request
from rig.origins import Origin, hash_of, pattern, tls_named
from rig.process import command, running, write
from rig.programs import free_port, serving
from rig.tls_clients import ask_tls, needs, s_client
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki
from rig.tls_origins import TlsHttpOrigin
from rig.tls_records import Records, records_of
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeTls = Callable[..., TlsHttpOrigin]
MakeOrigin = Callable[..., Origin]

MIB = 1 << 20


@pytest.fixture
def log(tmp_path: Path, start: Start) -> Callable[[Config], tuple[Proxy, Records]]:
    """Start a proxy that logs to a file, and read its records."""
    file = tmp_path / "access.log"

    def make(config: Config) -> tuple[Proxy, Records]:
        return start(config | {"logs": {"access": str(file), "format": "json"}}), records_of(file, "json")

    return make


def trusting(pki: Pki, name: str | None = "app.test", **more: Any) -> Config:
    """``[backends.NAME.tls]`` that trusts our authority."""
    return {"ca": [str(pki.ca)]} | ({"server_name": name} if name else {}) | more


def test_servers_are_verified_by_name(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    app = https_origin(pki.server("app.test"))
    proxy = start(front(app.address, tls=trusting(pki)))
    assert ask(proxy.address("web"), get()).body == b"app GET /\n"
    assert ask(proxy.address("web"), post(b"body", "/x")).body == b"app POST /x\nbody"
    assert {one["name"] for one in app.agreed} == {"app.test"}
    assert {one["version"] for one in app.agreed} == {"TLSv1.3"}
    assert app.requests[0].host == "a.test", "what clients ask for is passed on all the same"


def test_servers_are_verified_by_the_name_they_are_written_with(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    app = https_origin(pki.server("localhost"))
    written = app.address.replace("127.0.0.1", "localhost")
    config = front(written, tls=trusting(pki, None)) | {"resolver": {"families": "ipv4"}}
    assert ask(start(config).address("web"), get()).status == 200
    assert app.agreed[0]["name"] == "localhost"
    other = https_origin(pki.server("app.test"))
    config = front(other.address.replace("127.0.0.1", "localhost"), tls=trusting(pki, None))
    assert ask(start(config | {"resolver": {"families": "ipv4"}}).address("web"), get()).status == 503


def test_servers_are_verified_by_address(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    app = https_origin(pki.server("127.0.0.1"))
    proxy = start(front(app.address, tls=trusting(pki, None)))
    assert ask(proxy.address("web"), get()).status == 200
    assert app.agreed[0]["name"] is None, "an address is no name to ask for (RFC 6066 section 3)"


def test_tls_on_both_sides(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    whole = b"".join(pattern(4 * MIB))
    app = https_origin(pki.server("app.test"), lambda request: Reply(body=whole + request.body))
    proxy = start(both(app.address, pki))
    response = ask_tls(proxy.address("web"), pki.client(), post(whole))
    assert response.body == whole * 2
    assert app.requests[0].get("x-forwarded-proto") == "https"


def both(address: str, pki: Pki, **more: Any) -> Config:
    """TLS that ends here, and TLS to the server."""
    config = https(address, tls=secured(pki.pem("a.test")))
    config["backends"]["app"]["tls"] = trusting(pki, **more)
    return config


REASONS = {
    "untrusted": "certificate not trusted",
    "other name": "certificate for another name",
    "expired": "certificate expired or not valid yet",
    "not tls": "no answer in time",
    "old version": "TLS handshake failed",
}


@pytest.mark.parametrize("kind", REASONS)
def test_servers_that_cannot_be_verified_get_nothing(
    log: Callable[[Config], tuple[Proxy, Records]], https_origin: MakeTls, http_origin: MakeHttp, pki: Pki, kind: str
) -> None:
    presented = {
        "untrusted": lambda: _stranger(pki),
        "other name": lambda: pki.server("other.test"),
        "expired": lambda: pki.server("app.test", days=(-30, -1)),
        "old version": lambda: _only_1_2(pki),
    }
    app = http_origin() if kind == "not tls" else https_origin(presented[kind]())
    more: Config = {"min_version": "1.3"} if kind == "old version" else {}
    proxy, records = log(front(app.address, tls=trusting(pki, **more), retries=0, connect_timeout="500ms"))
    response = ask(proxy.address("web"), get())
    assert response.status == 503
    (record,) = records(1)
    assert (record["status"], record["end"]) == (503, "no_server")
    assert record["connect_error"] == REASONS[kind]
    assert app.requests == []
    stats = proxy.stats().backends["app"].servers[app.address]
    assert stats.connect_failures >= 1


def _stranger(pki: Pki) -> ssl.SSLContext:
    leaf = root("Strangers").leaf("app.test")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pki.write("stranger.pem", leaf.chain_pem + leaf.key_pem))
    return tls


def _only_1_2(pki: Pki) -> ssl.SSLContext:
    tls = pki.server("app.test")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    return tls


def test_checks_say_why_a_server_is_down(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    app = https_origin(pki.server("other.test"))
    health = {"interval": "50ms", "timeout": "1s", "rise": 1, "fall": 1, "kind": "http", "path": "/"}
    proxy = start(front(app.address, tls=trusting(pki), health=health))
    for notice in proxy.notices():
        if notice.kind == "server_down":
            assert notice.facts["reason"] == "certificate for another name"
            break
    assert ask(proxy.address("web"), get()).status == 503


def test_a_good_server_is_tried_after_a_bad_one(
    log: Callable[[Config], tuple[Proxy, Records]], https_origin: MakeTls, pki: Pki
) -> None:
    good = https_origin(pki.server("app.test"), name="good")
    bad = https_origin(pki.server("other.test"), name="bad")
    proxy, records = log(front(bad.address, good.address, tls=trusting(pki), retries=1))
    for number in range(6):
        assert ask(proxy.address("web"), get(f"/{number}")).get("x-origin") == "good"
    assert bad.requests == []
    assert len(good.requests) == 6
    tried = [record["connect_error"] for record in records(6) if record["retries"]]
    assert set(tried) == {"certificate for another name"}


def test_nothing_is_verified_if_that_is_wanted(https_origin: MakeTls, pki: Pki, tmp_path: Path) -> None:
    app = https_origin(_stranger(pki))
    file = write(tmp_path / "headworks.toml", front(app.address, tls={"verify": False}))
    with running(file) as proxy:
        said = proxy.line("backends.app.tls.verify")
        assert " warning " in said
        assert "nothing is verified" in said
        assert ask(proxy.address("web"), get()).status == 200
    checked = command("check", file)
    assert checked.returncode == 0
    assert "nothing is verified" in checked.stdout + checked.stderr


def test_we_show_a_certificate_to_those_who_ask(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    tls = pki.server("app.test")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(pki.ca)
    app = https_origin(tls)
    proxy = start(front(app.address, tls=trusting(pki, certificate=pki.pem("proxy.test"))))
    assert ask(proxy.address("web"), get()).status == 200
    assert dict(one[0] for one in app.agreed[0]["certificate"]["subject"]) == {"commonName": "proxy.test"}
    without = start(front(app.address, tls=trusting(pki), retries=0))
    assert ask(without.address("web"), get()).status in (502, 503)
    assert len(app.requests) == 1


def test_connections_are_kept_and_sessions_resumed(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    app = https_origin(pki.server("app.test"), lambda request: Reply(close=request.target == "/last"))
    proxy = start({"proxy": {"workers": 1}} | front(app.address, tls=trusting(pki)))
    target = proxy.address("web")
    for number in range(5):
        ask(target, get(f"/{number}"))
    assert len(app.agreed) == 1, "one connection for all"
    ask(target, get("/last"))
    ask(target, get())
    assert [one["resumed"] for one in app.agreed] == [False, True]


def test_alpn_to_servers(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    tls = pki.server("app.test")
    tls.set_alpn_protocols(["h2", "http/1.1"])
    app = https_origin(tls)
    proxy = start(front(app.address, tls=trusting(pki)))
    assert ask(proxy.address("web"), get()).status == 200
    assert app.agreed[0]["alpn"] == "http/1.1"


def test_raw_bytes_to_a_server_over_tls(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    app = origin(tls_named(pki.server("app.test")), name="app")
    proxy = start(tcp(app.address, tls=trusting(pki)))
    with socket.create_connection(proxy.address("raw"), PATIENCE) as client:
        client.sendall(b"word")
        assert exactly(client, 12) == b"app TLSv1.3\n"


def test_checks_over_tls(start: Start, https_origin: MakeTls, pki: Pki) -> None:
    """A server is up while it answers over TLS, and down while it does not."""
    app = https_origin(pki.server("app.test"))
    health = {"kind": "http", "path": "/health", "interval": "50ms", "timeout": "1s", "rise": 1, "fall": 2}
    proxy = start(front(app.address, tls=trusting(pki), health=health))

    def is_up() -> bool:
        return proxy.stats().backends["app"].servers[app.address].up

    until(lambda: app.requests and is_up())
    assert app.requests[0].target == "/health"
    app.refuse()
    until(lambda: not is_up())
    app.listen()
    until(is_up)
    assert ask(proxy.address("web"), get()).status == 200


def test_checks_of_connecting_shake_hands(start: Start, http_origin: MakeHttp, https_origin: MakeTls, pki: Pki) -> None:
    """To be connected is not enough where TLS is to be spoken."""
    plain, secure = http_origin(), https_origin(pki.server("app.test"))
    health = {"kind": "tcp", "interval": "50ms", "timeout": "1s", "rise": 1, "fall": 1}
    proxy = start(front(plain.address, secure.address, tls=trusting(pki), health=health))

    def up(address: str) -> bool:
        return proxy.stats().backends["app"].servers[address].up

    until(lambda: not up(plain.address) and up(secure.address))
    assert [ask(proxy.address("web"), get()).get("x-origin") for _ in range(3)] == ["app"] * 3


@pytest.mark.parametrize("patient", [True, False])
def test_a_server_that_takes_no_body_is_not_the_client_s_fault(
    start: Start, https_origin: MakeTls, pki: Pki, *, patient: bool
) -> None:
    """The client would send and may not: it is given the time that the server has, and told that it was the server."""
    release = threading.Event()

    def hold(_: Request, __: socket.socket) -> bool:
        return release.wait(PATIENCE)

    app = https_origin(pki.server("app.test"), lambda request: Reply(body=b"%d" % len(request.body)))
    app.on_head = hold
    limits = {"response_timeout": "30s" if patient else "600ms", "tls": trusting(pki)}
    proxy = start(front(app.address, listener={"timeouts": {"body": "200ms"}}, **limits))
    size = 64 * MIB
    with Client(proxy.address("web")) as client:
        client.send(get("/", f"Content-Length: {size}", method="POST"))
        client.socket.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            while sent < size:
                sent += client.socket.send(b"x" * min(MIB, size - sent))
        client.socket.settimeout(PATIENCE)
        if patient:
            release.set()
            client.send(b"x" * (size - sent))
        answer = client.response("POST")
        release.set()
    assert (answer.status, answer.body) == (200, b"%d" % size) if patient else answer.status == 504


# Servers that everybody uses.


@pytest.fixture
def nginx(pki: Pki, tmp_path: Path) -> Iterator[str]:
    """Run nginx with TLS, and clients' certificates demanded under /members; gives its address."""
    program, port, server = needs("nginx"), free_port(), pki.pem("app.test")
    (tmp_path / "files").mkdir(mode=0o755)
    (tmp_path / "files" / "large").write_bytes(b"".join(pattern(8 * MIB)))
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"""
        daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;
        events {{ }}
        http {{
          access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
          fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
          server {{
            listen 127.0.0.1:{port} ssl; root {tmp_path}/files; keepalive_requests 7; server_name app.test;
            ssl_protocols TLSv1.2 TLSv1.3;
            ssl_certificate {server}; ssl_certificate_key {server};
            ssl_client_certificate {pki.ca}; ssl_verify_client optional; ssl_verify_depth 3;
            location /tls {{
              return 200 "$ssl_protocol $ssl_server_name $ssl_session_reused $http_x_forwarded_proto\\n";
            }}
            location /members {{
              if ($ssl_client_verify != SUCCESS) {{ return 403; }}
              return 200 "$ssl_client_s_dn\\n";
            }}
          }}
        }}
        """
    )
    with serving(program, "-c", str(config), "-e", str(tmp_path / "error.log"), port=port) as address:
        yield address


def test_nginx_as_a_server(start: Start, nginx: str, pki: Pki) -> None:
    target = start(both(nginx, pki, certificate=pki.pem("proxy.test"))).address("web")
    response = ask_tls(target, pki.client(), get("/large"))
    assert hashlib.sha256(response.body).hexdigest() == hash_of(8 * MIB)
    said = [ask_tls(target, pki.client(), get("/tls")).body.decode().split() for _ in range(20)]
    assert {(version, name, proto) for version, name, _, proto in said} == {("TLSv1.3", "app.test", "https")}
    assert ask_tls(target, pki.client(), get("/members")).body == b"CN=proxy.test\n"
    without = start(both(nginx, pki))
    assert ask_tls(without.address("web"), pki.client(), get("/members")).status == 403


def test_nginx_behind_a_port_that_passes_through(start: Start, nginx: str, http_origin: MakeHttp, pki: Pki) -> None:
    config = https(http_origin().address, tls=secured(pki.pem("a.test"), passthrough="untouched"))
    config["tables"] = {"untouched": {"app.test": "inner"}}
    config["backends"]["inner"] = {"servers": [nginx]}
    target = start(config).address("web")
    response = ask_tls(target, pki.client(), get("/tls", host="app.test"), name="app.test")
    assert response.body.startswith(b"TLSv1.3 app.test")
    assert ask_tls(target, pki.client()).body == b"app GET /\n"
    file = pki.pem("someone.test")
    own = ["-cert", file, "-key", file, "-cert_chain", file]
    said = s_client(target, "-servername", "app.test", *own, sends=get("/members", "Connection: close"))
    assert "CN=someone.test" in said


ASGI = """
async def app(scope, receive, send):
    assert scope["type"] == "http", scope
    told = dict(scope["headers"]).get(b"x-forwarded-proto", b"-")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode() + b" " + told})
"""


def test_uvicorn_as_a_server(start: Start, pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(ASGI)
    port, server = free_port(), pki.pem("app.test")
    more = ["--port", str(port), "--ssl-certfile", server, "--ssl-keyfile", server, "--lifespan", "off"]
    arguments = [
        sys.executable,
        "-m",
        "uvicorn",
        "served:app",
        "--app-dir",
        str(tmp_path),
        "--log-level",
        "error",
        *more,
    ]
    with serving(*arguments, port=port) as address:
        proxy = start(both(address, pki))
        for _ in range(5):
            assert ask_tls(proxy.address("web"), pki.client()).body == b"https https"
        proxy.stop()
