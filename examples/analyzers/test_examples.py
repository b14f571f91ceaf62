"""The analyzers, each on its own and one as a proxy runs it. Run by: pytest examples/analyzers"""

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

import headworks
from headworks.testing import Client, Scene

sys.path.insert(0, str(Path(__file__).parent))

from api_keys import ApiKeys
from bots import KNOWN, Bots
from jwt_tokens import Tokens
from ports import Ports
from redact import Redact
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


def test_the_configuration_is_right() -> None:
    headworks.Config.load(Path(__file__).with_name("headworks.toml"))
