"""Requests over HTTPS: tables, hosts of other connections, redirects, what servers and clients are told."""

from collections.abc import Callable

import pytest

from headworks import Proxy
from rig.clients import refusal
from rig.http_clients import Client, get, post
from rig.http_origins import HttpOrigin, Reply
from rig.messages import Response
from rig.origins import refusing_port
from rig.tls_clients import TlsClient, ask_tls, curl
from rig.tls_configs import Config, https, https_sites, secured
from rig.tls_files import Pki
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

SITES = ("a.test", "*.b.test", "c.test")


def test_tables_by_host_and_path(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    servers = {name: http_origin(name=name).address for name in ("whole", "part", "wild")}
    table = {"a.test": "whole", "a.test/part": "part", "*.b.test": "wild", "c.test/only": "part"}
    proxy = start(https_sites(table, servers, tls=secured(pki.pem(*SITES))))
    target, tls = proxy.address("web"), pki.client()
    for host, path, status, name in (
        ("a.test", "/", 200, "whole"),
        ("a.test", "/part/x", 200, "part"),
        ("a.test", "/parts", 200, "whole"),
        ("x.b.test", "/", 200, "wild"),
        ("c.test", "/only", 200, "part"),
        ("c.test", "/else", 404, None),
    ):
        response = ask_tls(target, tls, get(path, host=host), name=host)
        assert (response.status, response.get("x-origin")) == (status, name), (host, path)
    with TlsClient(target, tls, "a.test") as client:
        for path, name in (("/", "whole"), ("/part", "part"), ("/", "whole"), ("/part/y", "part")):
            assert client.ask(get(path)).get("x-origin") == name


def test_a_host_that_belongs_to_another_connection(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    """What the certificate of the connection covers may be asked on it; what it does not gets 421 (RFC 9110, 7.4)."""
    certificates = [pki.pem("a.test", "also-a.test"), pki.pem("*.b.test"), pki.pem("c.test")]
    config = https(http_origin().address, tls=secured(certificates))
    target = start(config).address("web")
    for name, host, status in (
        ("a.test", "a.test", 200),
        ("a.test", "A.test:8443", 200),
        ("a.test", "also-a.test", 200),
        ("a.test", "c.test", 421),
        ("a.test", "elsewhere.test", 421),
        ("a.test", "127.0.0.1", 421),
        ("x.b.test", "y.b.test", 200),
        ("x.b.test", "x.y.b.test", 421),
        ("x.b.test", "b.test", 421),
    ):
        response = ask_tls(target, pki.client(), get(host=host), name=name)
        assert response.status == status, (name, host)
    # The connection goes on.
    with TlsClient(target, pki.client()) as client:
        assert [client.ask(get(host=host)).status for host in ("c.test", "a.test", "c.test")] == [421, 200, 421]
    config["listeners"]["web"]["tls"]["check_host"] = False
    unchecked = start(config).address("web")
    assert ask_tls(unchecked, pki.client(), get(host="c.test")).status == 200


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_host_is_checked_on_resumed_connections_too(
    start: Start, http_origin: MakeHttp, pki: Pki, version: str
) -> None:
    certificates = [pki.pem("a.test"), pki.pem("c.test")]
    target = start(https(http_origin().address, tls=secured(certificates))).address("web")
    tls = pki.client(version=version)
    with TlsClient(target, tls) as client:
        client.ask(get())
        session = client.secure.session
    with TlsClient(target, tls, session=session) as client:
        assert client.secure.session_reused
        assert [client.ask(get(host=host)).status for host in ("a.test", "c.test")] == [200, 421]


def test_http_leads_to_https(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    config = https(http_origin().address, tls=secured(pki.pem("a.test"), hsts={"max_age": "1h"}))
    config["listeners"]["plain"] = {"bind": "127.0.0.1:0", "protocol": "http", "redirect": {"to": "https"}}
    proxy = start(config)
    (host, plain), (_, port) = proxy.address("plain"), proxy.address("web")
    with Client((host, plain)) as client:
        response = client.ask(get("/x?y=z", host=f"a.test:{plain}"))
        assert (response.status, response.get("location")) == (308, "https://a.test/x?y=z")
        assert response.get("strict-transport-security") is None, "never said in the clear (RFC 6797 section 7.2)"
    to_plain = ["--connect-to", f"a.test:80:{host}:{plain}"]
    # The first --connect-to that fits counts: port 80 leads to one listener, every other port to the other.
    done = curl((host, port), pki.ca, "--location", "--write-out", "%{num_redirects}", *to_plain, "http://a.test/x?y")
    assert done.stdout == b"app GET /x?y\n1", done.stderr


def test_strict_transport_security_in_every_answer(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    said = "max-age=31536000; includeSubDomains; preload"
    app = http_origin(
        lambda _: Reply(fields=[("Strict-Transport-Security", "max-age=1"), ("X-Origin", "app")], body=b"x")
    )
    table = {
        "a.test": "app",
        "a.test/gone": {"respond": {"status": 410}},
        "a.test/moved": {"redirect": {"to": "/new"}},
        "a.test/dead": "dead",
    }
    hsts = {"max_age": "8760h", "include_subdomains": True, "preload": True}
    with refusing_port() as dead:
        tls = secured(pki.pem("a.test"), hsts=hsts)
        proxy = start(https_sites(table, {"app": app.address, "dead": dead}, tls=tls, http={"body_limit": "1KiB"}))
        with_them = {
            200: get(),
            410: get("/gone"),
            308: get("/moved"),
            503: get("/dead"),
            421: get(host="c.test"),
            413: post(b"x" * 2000),
            400: b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        }
        for status, sent in with_them.items():
            response = ask_tls(proxy.address("web"), pki.client(), sent)
            assert (response.status, response.get("strict-transport-security")) == (status, said)


def test_servers_are_told(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    app = http_origin()
    config = https(app.address, tls=secured(pki.pem("a.test")))
    config["listeners"]["web"] |= {
        "http": {"forwarded": ["x_forwarded", "forwarded"]},
        "request_headers": {
            "set": {
                "X-Scheme": "{scheme}",
                "X-TLS": "{tls.version} {tls.cipher} {tls.group}",
                "X-Name": "{tls.name}",
                "X-Alpn": "{tls.alpn}",
                "X-Resumed": "{tls.resumed}",
                "X-Client-Cert": "[{tls.client.subject}]",
            }
        },
    }
    proxy = start(config)
    tls = pki.client(version="1.3", alpn=("h2", "http/1.1"))
    with TlsClient(proxy.address("web"), tls) as client:
        client.ask(get("/", "X-Forwarded-Proto: http", "Forwarded: proto=http", "X-Scheme: http", "X-TLS: none"))
        host, _ = client.socket.getsockname()
        session = client.secure.session
    (request,) = app.requests
    assert request.get("x-forwarded-proto") == "https"
    assert request.get("x-forwarded-for") == host
    assert "proto=https" in str(request.get("forwarded"))
    assert request.get("x-scheme") == "https"
    assert request.get("x-tls") == "TLSv1.3 TLS_AES_128_GCM_SHA256 x25519"
    assert request.get("x-name") == "a.test"
    assert request.get("x-alpn") == "http/1.1"
    assert request.get("x-resumed") == "false"
    assert request.get("x-client-cert") == "[]"
    with TlsClient(proxy.address("web"), tls, session=session) as client:
        client.ask(get())
    assert app.requests[-1].get("x-resumed") == "true"
    with TlsClient(proxy.address("web"), pki.client(version="1.2")) as client:
        client.ask(get())
    assert app.requests[-1].get("x-tls") == "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 x25519"


def test_plain_http_on_the_port_of_tls(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    app = http_origin()
    proxy = start(https(app.address, tls=secured(pki.pem("a.test"))))
    for sent in (get(), post(b"x" * 100_000), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        said = refusal(proxy.address("web"), sent)
        assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"https://" in said
    done = curl(proxy.address("web"), pki.ca, "--write-out", "%{http_code}", "http://a.test/", name="a.test")
    assert done.stdout.endswith(b"400")
    assert app.accepted == 0
    until(lambda: proxy.stats().connections == 0)


def test_cookies_of_affinity_are_secure(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    servers = [http_origin(name=name).address for name in "ab"]
    config = https(*servers, tls=secured(pki.pem("a.test")), affinity={"cookie": "HW"})

    def cookie(response: Response) -> str:
        return str(response.get("set-cookie"))

    target = start(config).address("web")
    response = ask_tls(target, pki.client())
    assert "; Secure" in cookie(response)
    kept = cookie(response).partition(";")[0]
    for _ in range(4):
        again = ask_tls(target, pki.client(), get("/", f"Cookie: {kept}"))
        assert again.get("x-origin") == response.get("x-origin")
