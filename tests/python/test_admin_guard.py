"""The guard of the admin interface, attacked: by pages of others, by guessing, through a backend, slowly, often."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headworks import Proxy
from headworks.admin import speaking
from headworks.admin.guard import HEADERS
from headworks.admin.sessions import FAILURES, Failures, Sessions
from headworks.certificates import Authority
from headworks.config.tokens import Token, Tokens
from rig.admin import SECRETS, Door, opened, tokens

CHANGE = ("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"admin": "drain"})


@pytest.fixture
def mapping(raw):
    raw["backends"]["app"]["servers"].append("127.0.0.1:1")
    return raw


@pytest.fixture
def door(mapping, tmp_path):
    with opened(mapping, tmp_path) as made:
        yield made
        # Whatever was sent, it is served.
        assert made.ask("GET", "/v1/status").status == 200


@pytest.fixture
def loose(mapping, tmp_path):
    """Give a door without tokens."""
    with opened(mapping, tmp_path, tokens=None) as made:
        yield made


def changed(door):
    return bool(door.proxy.overrides())


# ---- who


def test_by_tcp_a_token_is_needed(door):
    for token in (None, "", "wrong", SECRETS["ops"] + "x", SECRETS["ops"].upper()):
        answer = door.ask("GET", "/v1/status", tcp=True, token=token)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="headworks"'
    assert door.ask("GET", "/v1/status", tcp=True).status == 200


def test_everybody_may_ask_whether_all_is_well_and_nothing_more(door):
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/", 200), ("/v1/me", 401), ("/v1/", 401)):
        assert door.ask("GET", path, tcp=True, token=None).status == status
    assert door.ask("POST", "/healthz", {}, tcp=True, token=None).status == 405


@pytest.mark.parametrize("kind", ["Basic", "bearerx", "Token", ""])
def test_other_ways_to_show_who_one_is(door, kind):
    assert door.ask("GET", "/v1/status", tcp=True, token=None, Authorization=f"{kind} {SECRETS['ops']}").status == 401


def test_readers_change_nothing(door):
    reader = SECRETS["eyes"]
    assert door.ask("GET", "/v1/config", tcp=True, token=reader).status == 200
    assert door.ask("POST", "/v1/explain", {"listener": "raw"}, tcp=True, token=reader).status == 200
    for method, path, value in (
        CHANGE,
        ("POST", "/v1/drain", {}),
        ("POST", "/v1/stop", {}),
        ("POST", "/v1/config?dry_run=true", {"toml": ""}),
        ("PUT", "/v1/config", {"toml": ""}),
        ("DELETE", "/v1/backends/app/servers/127.0.0.1:1", None),
    ):
        answer = door.ask(method, path, value, tcp=True, token=reader)
        assert (answer.status, answer.value["code"]) == (403, "role")
    assert not changed(door)
    assert door.ask(*CHANGE, tcp=True).status == 200


def test_without_tokens_a_loopback_port_is_for_looking(loose):
    assert loose.ask("GET", "/v1/servers", tcp=True, token=None).status == 200
    assert loose.ask(*CHANGE, tcp=True, token=None).status == 403
    # What may have secrets in it is not for everybody on the machine.
    assert loose.ask("GET", "/v1/config", tcp=True, token=None).status == 401
    assert not changed(loose)


def test_another_process_of_ours_may_do_everything(loose):
    program = (
        "import http.client, socket, sys\n"
        "c = http.client.HTTPConnection('x'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect(sys.argv[1])\n"
        "c.request('PATCH', sys.argv[2], '{\"admin\": \"drain\"}', {'Content-Type': 'application/json'})\n"
        "print(c.getresponse().read().decode())\n"
    )
    said = subprocess.run([sys.executable, "-c", program, loose.path, CHANGE[1]], capture_output=True, check=True)
    assert json.loads(said.stdout)["override"]["by"] == loose.proxy.overrides()[0].by != "nobody"


def test_our_own_process_needs_a_token(loose):
    assert loose.ask("GET", "/v1/status", token=None).status == 401
    assert loose.ask(*CHANGE, token=None).status == 401
    assert not changed(loose)


@pytest.mark.parametrize("has_tokens", [True, False])
def test_a_backend_that_is_the_admin_socket_lets_nobody_in(mapping, tmp_path, has_tokens):
    mapping["listeners"]["web"] = {"bind": "127.0.0.1:0", "protocol": "http", "backend": "hole"}
    mapping["listeners"]["tunnel"] = {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "hole"}
    mapping["backends"]["hole"] = {"servers": f"unix:{tmp_path}/admin.sock"}
    with opened(mapping, tmp_path, **({} if has_tokens else {"tokens": None})) as door:
        for listener in ("web", "tunnel"):
            outside = Door(door.proxy, "", door.proxy.address(listener)[1])
            for method, path, value in (CHANGE, ("GET", "/v1/status", None), ("POST", "/v1/drain", {})):
                assert outside.ask(method, path, value, tcp=True, token=None).status == 401
            assert outside.ask("GET", "/v1/status", tcp=True, token=SECRETS["ops"]).status == (
                200 if has_tokens else 401
            )
        assert not changed(door)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("settings", "statuses"),
    [
        ({}, None),
        ({"mode": "0666"}, (401, 401)),
        ({"group": "nogroup"}, (200, 403)),
    ],
)
def test_other_users(mapping, tmp_path, settings, statuses):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    program = (
        "import http.client, os, pwd, socket, sys\n"
        "nobody = pwd.getpwnam('nobody')\n"
        "os.setgroups([]); os.setresgid(*[nobody.pw_gid] * 3); os.setresuid(*[nobody.pw_uid] * 3)\n"
        "for method, path, body in (('GET', '/v1/status', None), ('PATCH', sys.argv[2], '{\"admin\": \"drain\"}')):\n"
        "    c = http.client.HTTPConnection('x'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect(sys.argv[1])\n"
        "    c.request(method, path, body, {'Content-Type': 'application/json'})\n"
        "    print(c.getresponse().status)\n"
    )
    with opened(mapping, tmp_path, **settings) as door:
        command = [sys.executable, "-c", program, door.path, CHANGE[1]]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if statuses is None:
            assert "PermissionError" in ran.stderr
        else:
            assert tuple(map(int, ran.stdout.split())) == statuses
        assert not changed(door)


# ---- guessing


def test_guessing_is_slowed_down_for_whoever_guesses(door):
    for _ in range(FAILURES):
        assert door.ask("GET", "/v1/status", tcp=True, token="wrong").status == 401
    answer = door.ask("GET", "/v1/status", tcp=True)
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert door.ask("POST", "/v1/session", {"token": SECRETS["ops"]}, tcp=True, token=None).status == 429
    # Nobody else is held up by it.
    assert door.ask("GET", "/v1/status").status == 200
    assert door.ask("GET", "/healthz", tcp=True, token=None).status == 200


def test_failures_are_forgotten_and_bounded():
    now = [0.0]
    failures = Failures(lambda: now[0])
    for _ in range(FAILURES):
        assert failures.wait("2001:db8::1") == 0
        failures.add("2001:db8::1")
    assert failures.wait("2001:db8::ffff") > 0, "a whole /64 is one client"
    assert failures.wait("2001:db8:0:1::1") == 0
    assert failures.wait("::ffff:192.0.2.1") == 0
    now[0] = 61.0
    assert failures.wait("2001:db8::1") == 0
    for number in range(10_000):
        failures.add(f"192.0.{number >> 8}.{number & 255}")
    assert len(failures._counted) <= 256


def test_sessions_end_with_time_and_are_bounded():
    now = [0.0]
    token = Token(name="a", role="read", sha256="0" * 64)
    sessions, known = Sessions(lambda: now[0]), Tokens([token])
    first = sessions.begin(token)
    assert sessions.find(first, known) == token
    assert sessions.find(first, Tokens([])) is None
    assert sessions.find(first, Tokens([Token(name="a", role="operate", sha256="0" * 64)])) is None
    assert sessions.find("", known) is None
    for _ in range(300):
        last = sessions.begin(token)
    assert sessions.find(first, known) is None
    now[0] = 13 * 3600.0
    assert sessions.find(last, known) is None


# ---- pages of others


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b", "[::1"]
)
def test_names_that_lead_here_from_elsewhere(door, host):
    answer = door.ask("GET", "/v1/status", tcp=True, Host=host)
    assert answer.status in (400, 421)
    assert b"version" not in answer.body


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9900", "127.0.0.1", "127.0.0.1:1", "[::1]:9900", "proxy.example"]
)
def test_names_that_are_ours(mapping, tmp_path, host):
    with opened(mapping, tmp_path, hosts=["proxy.example"]) as door:
        assert door.ask("GET", "/v1/status", tcp=True, Host=host).status == 200


def test_a_host_that_is_missing_or_there_twice(door):
    token = f"Authorization: Bearer {SECRETS['ops']}\r\n".encode()
    assert b" 421 " in door.raw(b"GET /v1/status HTTP/1.0\r\n" + token + b"\r\n")
    twice = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n" + token + b"\r\n"
    assert b" 400 " in door.raw(twice)


@pytest.mark.parametrize("tcp", [True, False])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "odd"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://localhost", "Sec_Fetch_Site": "cross-site"},
    ],
)
def test_pages_of_other_sites(door, headers, tcp):
    for method, path, value in (CHANGE, ("GET", "/v1/status", None)):
        answer = door.ask(method, path, value, tcp=tcp, Host="localhost", **headers)
        assert (answer.status, answer.value["code"]) == (403, "cross_site")
    assert not changed(door)


@pytest.mark.parametrize(
    "headers", [{"Sec_Fetch_Site": "same-origin", "Origin": "http://localhost:9900"}, {"Sec_Fetch_Site": "none"}]
)
def test_our_own_page(door, headers):
    assert door.ask("GET", "/v1/status", tcp=True, Host="localhost:9900", **headers).status == 200
    assert door.ask(*CHANGE, tcp=True, Host="localhost:9900", **headers).status == 200


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/plain;application/json"],
)
def test_what_forms_can_send_changes_nothing(door, kind):
    method, path, value = CHANGE
    assert door.ask(method, path, value, Content_Type=kind).status == 415
    assert door.ask("POST", "/v1/drain", {}, Content_Type=kind).status == 415
    assert not changed(door)
    assert not door.proxy.is_draining


def test_methods_that_are_none(door):
    for method in ("TRACE", "OPTIONS", "PROPFIND", "get"):
        assert door.ask(method, "/v1/status").status == 405
    assert door.ask("GET", CHANGE[1], X_HTTP_Method_Override="PATCH").status == 200
    assert not changed(door)


def test_every_answer_has_the_headers(door):
    answers = [
        door.ask("GET", "/v1/status"),
        door.ask("GET", "/"),
        door.ask("GET", "/healthz"),
        door.ask("GET", "/none"),
        door.ask("GET", "/v1/status", token="wrong"),
        door.ask("GET", "/v1/status", tcp=True, Host="evil.example"),
        door.ask("POST", "/v1/drain", {}, Content_Type="text/plain"),
    ]
    for answer in answers:
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode()
        assert "server" not in answer.headers
    assert b"<script" not in answers[1].body


# ---- sessions


def test_a_browser_gets_a_cookie_for_a_token(door):
    assert door.ask("POST", "/v1/session", {"token": "wrong"}, tcp=True, token=None).status == 401
    answer = door.ask("POST", "/v1/session", {"token": SECRETS["eyes"]}, tcp=True, token=None)
    assert answer.status == 204
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    asked = {"tcp": True, "token": None, "Cookie": cookie}
    assert door.ask("GET", "/v1/me", **asked).value == {"name": "eyes", "role": "read"}
    assert door.ask(*CHANGE, **asked).status == 403
    assert door.ask("GET", "/v1/me", **asked, Sec_Fetch_Site="cross-site").status == 403
    assert door.ask("DELETE", "/v1/session", **asked).status == 204
    assert door.ask("GET", "/v1/me", **asked).status == 401


@pytest.mark.parametrize("cookie", ["headworks_session=", "headworks_session=x; ;=", "\xff", "a" * 5000])
def test_cookies_that_are_none(door, cookie):
    assert door.ask("GET", "/v1/me", tcp=True, token=None, Cookie=cookie).status == 401


def test_a_reload_takes_tokens_away(mapping, tmp_path):
    with opened(mapping, tmp_path) as door:
        begun = door.ask("POST", "/v1/session", {"token": SECRETS["eyes"]}, tcp=True, token=None)
        cookie = begun.headers["set-cookie"].partition(";")[0]
        file = tmp_path / "tokens"
        text = file.read_text()
        file.write_text("[[token]]".join(text.split("[[token]]")[:2]))
        assert door.ask("GET", "/v1/me", tcp=True, token=SECRETS["eyes"]).status == 200
        door.proxy.reload(door.proxy.config)
        assert door.ask("GET", "/v1/me", tcp=True, token=SECRETS["eyes"]).status == 401
        assert door.ask("GET", "/v1/me", tcp=True, token=None, Cookie=cookie).status == 401
        assert door.ask("GET", "/v1/me", tcp=True).status == 200


# ---- slow, huge, many


def ends(client: socket.socket) -> bytes:
    """Read until the other side closes, by whatever means."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            received += part
    return received


@pytest.mark.parametrize("sent", [b"", b"GET /v1/status HTTP/1.1\r\nHost: x"])
def test_a_head_that_never_ends(door, monkeypatch, sent):
    monkeypatch.setattr(speaking, "HEAD", 0.1)
    connection = door.connection(tcp=True)
    connection.connect()
    connection.sock.sendall(sent)
    assert ends(connection.sock) == b""
    connection.close()


def test_a_second_head_that_never_ends(door, monkeypatch):
    monkeypatch.setattr(speaking, "HEAD", 0.1)
    connection = door.connection(tcp=True)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok\n"
    connection.sock.sendall(b"GET /heal")
    assert ends(connection.sock) == b""
    connection.close()


def test_a_head_that_is_too_large(door):
    said = door.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (64 << 10))
    assert said.startswith(b"HTTP/1.1 400 ") or said == b""


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large(door, announced):
    length = b"Content-Length: 99999999\r\n" if announced else b"Transfer-Encoding: chunked\r\n"
    head = b"PATCH " + CHANGE[1].encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {SECRETS['ops']}\r\n".encode() + length + b"\r\n"
    body = b"" if announced else b"40000\r\n" + b" " * 0x40000 + b"\r\n0\r\n\r\n"
    connection = door.connection(tcp=True)
    connection.connect()
    with contextlib.suppress(OSError):
        connection.sock.sendall(head + body)
    assert b" 413 " in ends(connection.sock)
    connection.close()


def test_a_body_that_never_comes(door, monkeypatch):
    monkeypatch.setattr("headworks.admin.routes._SLOW_BODY", 0.1)
    head = b"POST /v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\n"
    connection = door.connection(tcp=True)
    connection.connect()
    connection.sock.sendall(head + f"Authorization: Bearer {SECRETS['ops']}\r\n\r\n".encode() + b"{")
    assert b" 408 " in ends(connection.sock)
    connection.close()
    assert not door.proxy.is_draining


def test_bodies_are_not_read_for_whoever_may_not_send_them(door):
    said = door.raw(
        b"PUT /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 9999999\r\n\r\n"
    )
    assert b" 401 " in said


def test_more_clients_than_anybody_needs_leave_the_socket_alone(door, monkeypatch):
    monkeypatch.setattr(speaking.Speaking, "most", 4)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", door.port))) for _ in range(40)]
        assert sum(1 for one in clients[4:] if ends(one) == b"") == 36
        assert door.ask("GET", "/v1/status").status == 200
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if door.ask("GET", "/healthz", tcp=True).status == 200:
                return
    raise AssertionError("those that left are still counted")


def test_more_readers_of_events_than_there_may_be(door, monkeypatch):
    monkeypatch.setattr("headworks.admin.events.MOST", 2)
    connections = [door.connection() for _ in range(2)]
    for one in connections:
        one.request("GET", "/v1/events", headers={"Authorization": f"Bearer {SECRETS['ops']}"})
        one.getresponse().readline()
    refused = door.ask("GET", "/v1/events")
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    for one in connections:
        one.close()


def test_a_reader_of_events_that_reads_nothing_is_let_go(door, monkeypatch):
    monkeypatch.setattr("headworks.admin.events.PATIENCE", 0.2)
    connection = door.connection()
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sock.sendall(
        f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRETS['ops']}\r\n\r\n".encode()
    )
    assert connection.sock.recv(1)
    events = door.proxy._door._app.events
    deadline = time.monotonic() + 40
    while events._readers and time.monotonic() < deadline:
        for number in range(100):
            door.proxy.admin._changed("test", "x" * 2000, number, None)
        time.sleep(0.01)
    assert not events._readers
    connection.close()


def test_traffic_goes_on_while_operators_wait(door):
    release = threading.Event()
    door.proxy.admin.status = lambda: release.wait(30)
    asking = [threading.Thread(target=door.ask, args=("GET", "/v1/status")) for _ in range(8)]
    for one in asking:
        one.start()
    try:
        with socket.create_connection(door.proxy.address("raw")) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"a"
        assert door.ask("GET", "/healthz").status == 200
    finally:
        release.set()
        for one in asking:
            one.join()
        del door.proxy.admin.status


def test_a_mistake_of_ours_is_an_answer(door, caplog):
    door.proxy.admin.limits = lambda: 1 / 0
    answer = door.ask("GET", "/v1/limits")
    assert (answer.status, answer.value["code"]) == (500, "failed")
    assert "ZeroDivisionError" not in answer.body.decode()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%00", "//etc/passwd"])
def test_files_elsewhere(door, path):
    assert door.ask("GET", path).status in (400, 404)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda method, path, fields: (
                method + b" /" + path + b" HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n\r\n"
            ),
            st.sampled_from([b"GET", b"POST", b"PATCH", b"\x00"]),
            st.binary(max_size=60),
            st.binary(max_size=60),
        ),
    )
)
def test_any_bytes(door, sent):
    said = door.raw(sent, tcp=True)
    assert said == b"" or said.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in said.split(b"\r\n")[0]


# ---- TLS


def test_tls(mapping, tmp_path):
    authority = Authority()
    file = tmp_path / "admin.pem"
    file.write_text(authority.issue("127.0.0.1", "localhost").pem())
    with opened(mapping, tmp_path, tls={"certificate": str(file)}) as door:
        trusting = ssl.create_default_context(cadata=authority.pem())
        connection = http.client.HTTPSConnection("localhost", door.port, context=trusting, timeout=20)
        connection.request("GET", "/v1/me", headers={"Authorization": f"Bearer {SECRETS['ops']}"})
        assert json.loads(connection.getresponse().read())["name"] == "ops"
        connection.request(
            "POST", "/v1/session", json.dumps({"token": SECRETS["ops"]}), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        response.read()
        assert "Secure" in response.getheader("set-cookie")
        connection.close()
        with contextlib.suppress(OSError):
            assert b"HTTP/1.1 200" not in door.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert door.ask("GET", "/v1/status").status == 200


def mounted(app, base="http://localhost"):
    """Return what asks an app without any connection."""
    import asyncio

    import httpx

    def ask(method, path, **more):
        async def once():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
                return await client.request(method, path, **more)

        return asyncio.run(once())

    return ask


def test_a_mounted_app_has_the_same_guard(mapping, tmp_path):
    import headworks.admin

    with Proxy({**mapping, "admin": {"bind": f"unix:{tmp_path}/a.sock", "tokens": tokens(tmp_path)}}) as proxy:
        ask = mounted(headworks.admin.app(proxy))
        assert ask("GET", "/v1/status").status_code == 401
        bearer = {"Authorization": f"Bearer {SECRETS['ops']}"}
        assert ask("PATCH", CHANGE[1], json={"weight": 3}, headers=bearer).status_code == 200
    with Proxy(mapping) as proxy:
        ask = mounted(headworks.admin.app(proxy))
        assert ask("GET", "/v1/status").status_code == 200
        assert ask("PATCH", CHANGE[1], json={"weight": 3}).status_code == 403
        trusted = mounted(headworks.admin.app(proxy, trust="operate"), "http://anything")
        assert trusted("PATCH", CHANGE[1], json={"weight": 3}).json()["override"]["by"] == "trusted"
        assert trusted("PATCH", CHANGE[1], json={"weight": 3}, headers={"Origin": "http://x"}).status_code == 403


def test_a_mounted_app_below_a_path(mapping):
    from starlette.applications import Starlette
    from starlette.routing import Mount

    with Proxy(mapping) as proxy:
        ask = mounted(Starlette(routes=[Mount("/ops", proxy.admin.app(trust="read"))]))
        assert ask("GET", "/ops/v1/status").status_code == 200
        assert ask("GET", "/ops/healthz").text == "ok\n"
        assert ask("GET", "/ops/").status_code == 200
        assert ask("PATCH", "/ops" + CHANGE[1], json={"weight": 3}).status_code == 403
