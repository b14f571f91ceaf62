"""The last refusals: who was refused, why in words, and what could not be understood."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from headworks import Proxy
from headworks.records import Refusal
from rig.clients import answer, connect, dial, refusal, to_close
from rig.configs import Config, http, sites, tcp, tls
from rig.hello import client_hello
from rig.http_clients import ask, get
from rig.http_origins import HttpOrigin, Reply
from rig.origins import Origin, echo, refusing_port
from rig.tls_configs import https, secured
from rig.tls_files import Pki
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]
MakeHttp = Callable[..., HttpOrigin]

REMEMBERED = 256


@pytest.fixture
def start(start: Start) -> Start:
    """Start a proxy with one worker: what two of them refuse in the same millisecond has no order."""
    return lambda config: start(config | {"proxy": {"workers": 1}})


def last(proxy: Proxy, count: int = 1) -> Refusal:
    """Wait for so many refusals, and return the last."""
    return until(lambda: found[-1] if len(found := proxy.refusals()) == count else None, f"{count} refusals")


def test_a_name_that_matches_nothing(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tls({"a.test": "app"}, {"app": origin(echo).address}))
    assert proxy.refusals() == []
    before = datetime.now(UTC)
    with connect(proxy.address("secure")) as client:
        client.sendall(client_hello("nobody.test"))
        to_close(client)
        named = "{}:{}".format(*client.getsockname())
    found = last(proxy)
    assert (found.listener, found.client, found.sni, found.end) == ("secure", named, "nobody.test", "no_match")
    assert found.detail == "The client gave a name that no entry matches."
    assert before - timedelta(seconds=1) <= found.ts <= datetime.now(UTC) + timedelta(seconds=1)
    assert found.id > 0


def test_requests_and_servers(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(status=503))
    with refusing_port() as nobody:
        servers = {"app": app.address, "gone": nobody}
        proxy = start(sites({"a.test": "app", "gone.test/x": "gone"}, servers))
        # The word of a server is no refusal of ours.
        assert ask(proxy.address("web"), get()).status == 503
        assert ask(proxy.address("web"), get(host="gone.test", path="/x")).status == 503
        found = last(proxy)
        assert (found.host, found.path, found.end, found.backend) == ("gone.test", "/x", "no_server", "gone")
        assert found.connect_error
        assert ask(proxy.address("web"), get(host="gone.test", path="/y")).status == 404
        assert (last(proxy, 2).end, last(proxy, 2).status) == ("no_path", 404)
        assert answer(proxy.address("web"), b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert last(proxy, 3).end == "bad_request"


def test_limits_and_lists(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(echo).address, listener={"deny": ["127.0.0.0/8"]}))
    with connect(proxy.address("raw")) as client:
        assert to_close(client) == b""
    assert last(proxy).end == "denied"
    proxy = start(tcp(origin(echo).address, listener={"max_connections": 1}))
    with connect(proxy.address("raw")) as first:
        first.sendall(b"x")
        assert first.recv(1) == b"x"
        with connect(proxy.address("raw")) as second:
            assert to_close(second) == b""
    assert last(proxy).end == "limit_reached"


def test_what_is_no_tls_is_kept(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    proxy = start(https(http_origin().address, tls=secured(pki.pem("a.test"))))
    sent = b"SSH-2.0-OpenSSH_9.6\r\n"
    refusal(proxy.address("web"), sent)
    found = last(proxy)
    assert (found.end, found.tls_error, found.first_bytes) == ("handshake_failed", "not_tls", sent)
    refusal(proxy.address("web"), b"GET / HTTP/1.1\r\nX: " + b"y" * 5_000)
    assert (last(proxy, 2).tls_error, len(last(proxy, 2).first_bytes)) == ("plain_http", 256)


def test_a_flood_takes_no_more_room_than_the_ring(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(http(http_origin().address))
    for number in range(REMEMBERED + 50):
        with dial(proxy.address("web")) as client:
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" % number)
            assert to_close(client).startswith(b"HTTP/1.1 400 ")
    found = last(proxy, REMEMBERED)
    ends = proxy.stats().listeners["web"].ends
    assert (found.end, ends) == ("bad_request", {"bad_request": REMEMBERED + 50})
    ids = [one.id for one in proxy.refusals()]
    assert ids == sorted(set(ids))


def test_long_texts_are_cut_off_and_what_clients_say_is_only_text(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(sites({"a.test": "app"}, {"app": http_origin().address}))
    path = "/" + "x" * 3_000
    assert ask(proxy.address("web"), get(path, host="b.test")).status == 421
    assert last(proxy).path == path[:512]
    assert ask(proxy.address("web"), get('/%22}],"end":"x', host="c.test")).status == 421
    assert last(proxy, 2).path == '/%22}],"end":"x'


def test_refusals_outlast_a_reload_and_are_counted_by_reason(start: Start, http_origin: MakeHttp) -> None:
    config = sites({"a.test": "app"}, {"app": http_origin().address})
    proxy = start(config)
    assert ask(proxy.address("web"), get(host="b.test")).status == 421
    proxy.reload(config)
    assert last(proxy).end == "no_match"
    assert proxy.stats().listeners["web"].ends["no_match"] == 1
