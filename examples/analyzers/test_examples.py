"""The analyzers, each on its own and one as a proxy runs it. Run by: pytest examples/analyzers"""

import base64
import hashlib
import hmac
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

import headworks
from headworks.testing import Answer, Client, Origins, Proxies, Received, Scene

sys.path.insert(0, str(Path(__file__).parent))

from api_keys import ApiKeys
from bots import KNOWN, Bots
from jwt_tokens import Tokens
from mirror import Mirror, sampled
from ports import Ports
from redact import Redact
from replay import Replay, unavailable
from sessions import Sessions
from signing import Signing
from tenants import Tenants


def token(claims: dict[str, object], key: bytes = b"a key that is long enough for HS256", alg: str = "HS256") -> str:
    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    said = [json.dumps({"alg": alg, "kid": "first"}).encode(), json.dumps(claims).encode()]
    text = ".".join(map(encoded, said))
    return f"{text}.{encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def bearer(text: str) -> headworks.Request:
    return headworks.Request(headers={"Host": "a.example", "Authorization": f"Bearer {text}"})


GOOD = {"sub": "ann", "aud": "shop", "exp": time.time() + 60}


@pytest.mark.parametrize(
    "said",
    [
        token(GOOD, key=b"another"),
        token({**GOOD, "aud": "other"}),
        token({**GOOD, "exp": time.time() - 3600}),
        token(GOOD, alg="none"),
        "no.token",
        "",
    ],
)
def test_a_token_that_is_not_ours_is_refused(said: str) -> None:
    verdict = Scene(Tokens("file:keys.json", "shop")).request(bearer(said))
    assert verdict is not None
    assert "401" in repr(verdict)


def test_a_good_token_says_who_it_is() -> None:
    verdict = Scene(Tokens("file:keys.json", "shop")).request(bearer(token(GOOD)))
    assert verdict == headworks.rewrite(set_headers={"X-User": "ann"}) & headworks.log(user="ann")


def test_a_session_has_a_user() -> None:
    sessions = Sessions(":memory:")
    web = {"bind": "127.0.0.1:0", "protocol": "http", "respond": {"status": 200}}
    sessions.start(headworks.Proxy({"listeners": {"web": web}}))
    sessions.connection().execute("INSERT INTO sessions VALUES ('s1', 'ann')")
    for cookie, user in (("session=s1", "ann"), ("session=s2", None), ("session=' OR 1=1", None)):
        verdict = Scene(sessions).request(headworks.Request(headers={"Cookie": cookie}))
        assert verdict == headworks.rewrite(set_headers={"X-Session-User": user})


def test_tenants_are_looked_up_once_while_that_is_fresh() -> None:
    tenants = Tenants(":memory:")
    tenants.database.execute("INSERT INTO tenants VALUES ('a.example', 'app')")
    assert Scene(tenants).hello(headworks.Hello(name="a.example")) == headworks.route("app")
    tenants.database.execute("DELETE FROM tenants")
    assert Scene(tenants).hello(headworks.Hello(name="a.example")) == headworks.route("app")
    assert Scene(tenants).hello(headworks.Hello(name="b.example")) == headworks.reject("no such tenant")
    assert Scene(tenants).hello(headworks.Hello()) == headworks.reject("no name")


def test_bots_are_known_by_how_they_speak() -> None:
    (print_of_one, why), *_ = KNOWN.items()
    assert Scene(Bots("20/s")).hello(headworks.Hello(ja4=print_of_one)) == headworks.reject(why)
    assert "limit" in repr(Scene(Bots("20/s")).hello(headworks.Hello(ja4="t13d"))).lower()


@pytest.mark.parametrize("split", [0, 1, 3])
@pytest.mark.parametrize(
    ("said", "backend"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "ssh"),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "postgres"),
        (b"\x00\x00\x00\x50\x00\x03\x00\x00user", "postgres"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "secure"),
    ],
)
def test_one_port_serves_several_protocols(said: bytes, backend: str, split: int) -> None:
    assert Scene(Ports()).first_bytes(said, split=split) == headworks.route(backend)
    assert Scene(Ports()).first_bytes(b"GET / HTTP/1.1\r\n", split=split) is None


def test_requests_are_signed_with_their_bodies() -> None:
    signing = Signing("not a secret")
    request = headworks.Request(method="POST", target="/a?b", headers={"Content-Length": "5"})
    verdict = Scene(signing).request(request, b"hello")
    moment, signature = (value for _, value in verdict.parts[0].set)  # type: ignore[union-attr]
    assert signature == signing.signature("POST", "/a?b", moment, b"hello")
    assert signature != signing.signature("POST", "/a?", moment, b"bhello")


@pytest.mark.parametrize("split", [0, 1, 7, 50])
def test_addresses_are_taken_out_however_the_body_is_cut(split: int) -> None:
    body = b'{"to": "ann.b+c@shop.example.com", "cc": ["bob@a.example"], "n": "' + b"x" * 2000 + b'"}'
    clean = body.replace(b"ann.b+c@shop.example.com", b"[address]").replace(b"bob@a.example", b"[address]")
    assert Scene(Redact()).response_body(body, split=split) == clean


class Counting(StreamRequestHandler):
    """As much of Valkey as counting needs."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [self.word() for _ in range(int(line[1:]))]
            known: dict[bytes, int] = self.server.known  # type: ignore[attr-defined]
            if words[0] == b"INCR":
                known[words[1]] = known.get(words[1], 0) + 1
                self.wfile.write(b":%d\r\n" % known[words[1]])
            else:
                self.wfile.write(b":1\r\n")

    def word(self) -> bytes:
        length = int(self.rfile.readline()[1:])
        return self.rfile.read(length + 2)[:-2]


@contextmanager
def valkey() -> Iterator[str]:
    with ThreadingTCPServer(("127.0.0.1", 0), Counting) as server:
        server.daemon_threads = True
        server.known = {}  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_keys_are_counted_over_requests(client: Client) -> None:
    with valkey() as address:
        config = {
            "logs": {"access": "off"},
            "analyzers": {"keys": {"python": ApiKeys(address, per_minute=2)}},
            "listeners": {
                "web": {"bind": "127.0.0.1:0", "protocol": "http", "respond": {"status": 200}, "analyzers": ["keys"]}
            },
        }
        with headworks.Proxy(config) as proxy:
            asked = [client.get(proxy.address("web"), headers={"X-API-Key": "k"}).status for _ in range(3)]
    # Two may fall into the minute before.
    assert asked in ([200, 200, 429], [200, 200, 200])


def mirrored(mirror: Mirror, web: str) -> dict[str, object]:
    """Return a configuration in which every request is mirrored."""
    return {
        "analyzers": {"mirror": {"python": mirror, "on_failure": "pass"}},
        "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app", "analyzers": ["mirror"]}},
        "backends": {"app": {"servers": [web]}},
    }


def test_a_shadow_gets_a_copy_and_nobody_waits_for_it(
    headworks_proxy: Proxies, origin: Origins, client: Client
) -> None:
    let_go = threading.Event()

    def shadowed(_: Received) -> Answer:
        assert let_go.wait(10)
        return Answer(status=500, body="of the shadow")

    app, shadow = origin(body="of the app"), origin(shadowed)
    mirror = Mirror(shadow.address)
    proxy = headworks_proxy(mirrored(mirror, app.address))
    # The client has its answer before the shadow gives one.
    assert client.get(proxy.address("web"), "/a?b=c", headers={"Cookie": "d=e"}).text == "of the app"
    let_go.set()
    copy = shadow.wait_for(1)[0]
    assert (copy.method, copy.path, copy.header("cookie"), copy.header("x-shadow")) == ("GET", "/a?b=c", "d=e", "yes")
    # What has a body is not copied.
    assert client.post(proxy.address("web"), "/a", body=b"f").text == "of the app"
    assert [record.log.get("mirrored") for record in proxy.recorded(2)] == ["yes", None]
    assert len(shadow.requests) == 1


def test_a_shadow_that_is_slow_or_down_hurts_nobody(headworks_proxy: Proxies, origin: Origins, client: Client) -> None:
    app, shadow = origin(), origin(Answer(delay=60))
    mirror = Mirror(shadow.address, at_once=1)
    proxy = headworks_proxy(mirrored(mirror, app.address))
    assert [client.get(proxy.address("web")).status for _ in range(3)] == [200] * 3
    assert [record.log["mirrored"] for record in proxy.recorded(3)] == ["yes", "no", "no"]
    assert mirror.left_out == 2
    # Its connection is broken: the copy is counted, and there is a place again.
    shadow.wait_for(1)
    shadow.refuse()
    while client.get(proxy.address("web")).status == 200 and mirror.failed == 0:
        pass
    assert mirror.answered == 0


def test_one_request_in_a_hundred_is_mirrored() -> None:
    requests = [headworks.Request(id=f"{number:032x}") for number in range(5000)]
    assert 25 < sum(sampled(request) == headworks.consult("mirror") for request in requests) < 75
    assert all(sampled(headworks.Request(id=one.id, method="POST")) is None for one in requests)


def test_a_request_is_asked_again_where_a_server_is_not_available(
    headworks_proxy: Proxies, origin: Origins, client: Client
) -> None:
    bad = origin(status=503, body="not now")
    good = origin(body="well", headers={"X-From": "good"})
    proxy = headworks_proxy(
        {
            "analyzers": {"replay": {"python": Replay(), "on_failure": "pass"}},
            "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app"}},
            "backends": {"app": {"servers": [bad.address, good.address], "rules": [unavailable]}},
        }
    )
    web = proxy.address("web")
    replies = [client.get(web, "/a?b", headers={"X-C": "d"}) for _ in range(4)]
    assert [(reply.status, reply.text, reply.header("x-from")) for reply in replies] == [(200, "well", "good")] * 4
    asked, again = bad.requests[0], good.requests
    assert len(again) == 4
    assert {(one.method, one.path, one.header("x-c"), one.header("host")) for one in (asked, *again)} == {
        ("GET", "/a?b", "d", asked.header("host"))
    }
    assert {record.log.get("replayed") for record in proxy.recorded(4)} == {None, good.address}
    # What may not be sent twice is not: half of them go to the server that has no time.
    statuses = [client.post(web, body=b"e").status for _ in range(4)]
    assert sorted(statuses) == [200, 200, 503, 503]
    assert sum(one.method == "POST" for one in good.requests) == 2


def test_a_503_stays_when_no_server_is_better(headworks_proxy: Proxies, origin: Origins, client: Client) -> None:
    servers = [origin(status=503, body=f"of {name}") for name in "ab"]
    proxy = headworks_proxy(
        {
            "analyzers": {"replay": {"python": Replay(), "on_failure": "pass"}},
            "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app"}},
            "backends": {"app": {"servers": [one.address for one in servers], "rules": [unavailable]}},
        }
    )
    assert client.get(proxy.address("web")).status == 503
    assert [len(one.requests) for one in servers] == [1, 1]


def test_a_file_closes_and_opens(headworks_proxy: Proxies, client: Client, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("maintenance.py"), tmp_path)
    site = tmp_path / "headworks.toml"
    listener = '[listeners.web]\nbind = "127.0.0.1:0"\nprotocol = "http"\nrules = ["maintenance:closed"]\n'
    site.write_text(f"{listener}respond = {{ status = 200 }}\n")
    proxy = headworks_proxy(site)
    web = proxy.address("web")
    assert client.get(web).status == 200
    (tmp_path / "closed").touch()
    assert client.get(web).status == 200, "a switch is looked at when the configuration is read"
    proxy.reload()
    closed = client.get(web)
    assert (closed.status, closed.header("retry-after")) == (503, "3600")
    (tmp_path / "closed").unlink()
    proxy.reload()
    assert client.get(web).status == 200


def test_the_configuration_is_right() -> None:
    headworks.Config.load(Path(__file__).with_name("headworks.toml"))
