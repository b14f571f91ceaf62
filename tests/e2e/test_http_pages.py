"""Answers of our own: plain or HTML as the client likes, and pages of the configuration."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy
from rig.configs import Config, http, sites
from rig.http_clients import Client, ask, get, post
from rig.http_origins import HttpOrigin
from rig.origins import refusing_port

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

BROWSER = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def broken(start: Start) -> Proxy:
    """Start a proxy that has no backend for anything but ``a.test``, which is down for maintenance."""
    return start(sites({"a.test": "app"}, {"app": {"servers": ["127.0.0.1:1"], "maintenance": True}}))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ([BROWSER], "text/html"),
        (["Accept: text/html"], "text/html"),
        (["Accept: text/plain"], "text/plain"),
        (["Accept: */*"], "text/plain"),
        ([], "text/plain"),
        (["Accept: application/json"], "application/json"),
        (["Accept: image/png"], "text/plain"),
        (["Accept: text/html;q=0, */*"], "text/plain"),
        (["Accept: text/*"], ("text/plain", "text/html")),
        (["Accept: ;;,,q=x"], "text/plain"),
    ],
)
def test_what_the_client_likes(broken: Proxy, accept: list[str], kind: str | tuple[str, ...]) -> None:
    with Client(broken.address("web")) as client:
        for host, status in (("a.test", 503), ("b.test", 421)):
            answer = client.ask(get("/", *accept, host=host))
            assert answer.status == status
            assert str(answer.get("content-type")).startswith(kind)
            assert str(status) in answer.body.decode()
            assert ("<html" in answer.body.decode().lower()) == str(answer.get("content-type")).startswith("text/html")


def test_head_gets_no_body(broken: Proxy) -> None:
    with Client(broken.address("web")) as client:
        answer = client.ask(get(method="HEAD"))
        assert (answer.status, answer.body) == (503, b"")
        assert client.ask(get()).status == 503


def test_what_a_client_sent_is_on_no_page(broken: Proxy) -> None:
    answer = ask(broken.address("web"), get("/<script>alert(1)</script>", BROWSER, host="b.test"))
    assert b"<script>" not in answer.body


def test_an_answer_of_ours_keeps_the_connection_where_it_can(broken: Proxy) -> None:
    with Client(broken.address("web")) as client:
        for _ in range(3):
            assert client.ask(get()).persistent
            assert client.ask(post(b"unread" * 100)).status == 503


def test_a_mistake_ends_the_connection(broken: Proxy) -> None:
    with Client(broken.address("web")) as client:
        answer = client.ask(b"GET / HTTP/1.1\r\nHost: a.test\r\nbad\r\n\r\n")
        assert answer.status == 400
        assert not answer.persistent
        assert client.ended()


def test_a_1_0_client_gets_an_answer_too(broken: Proxy) -> None:
    with Client(broken.address("web")) as client:
        assert client.ask(get(version="1.0")).status == 503
        assert client.ended()


def test_pages_of_the_configuration(start: Start, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    """The backend's own comes first, then the listener's, then the built-in one."""
    html, plain = tmp_path / "503.html", tmp_path / "421.txt"
    html.write_text("<html>We are away: <b>app</b></html>")
    plain.write_text("not here\n")
    general = tmp_path / "general.html"
    general.write_text("<html>general</html>")
    dead = stack.enter_context(refusing_port())
    servers = {"app": {"servers": [dead], "error_pages": {"503": str(html)}}, "other": {"servers": [dead]}}
    pages = {"503": str(general), "421": str(plain)}
    proxy = start(sites({"a.test": "app", "b.test": "other"}, servers, error_pages=pages))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/", BROWSER, host="a.test"))
        assert (answer.status, answer.body) == (503, html.read_bytes())
        assert str(answer.get("content-type")).startswith("text/html")
        answer = client.ask(get("/", BROWSER, host="b.test"))
        assert (answer.status, answer.body) == (503, general.read_bytes())
        answer = client.ask(get("/", host="c.test"))
        assert (answer.status, answer.body) == (421, plain.read_bytes())
        assert str(answer.get("content-type")).startswith("text/plain")


def test_pages_of_servers_are_theirs(start: Start, http_origin: MakeHttp, tmp_path: Path) -> None:
    from rig.http_origins import Reply

    page = tmp_path / "503.html"
    page.write_text("ours")
    app = http_origin(lambda _: Reply(status=503, body=b"theirs"))
    proxy = start(http(app.address, error_pages={"503": str(page)}))
    assert ask(proxy.address("web"), get()).body == b"theirs"


def test_a_page_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    from rig.process import command

    file = tmp_path / "headworks.toml"
    file.write_text(
        '[listeners.web]\nbind = "127.0.0.1:0"\nprotocol = "http"\nbackend = "app"\n'
        '[listeners.web.error_pages]\n503 = "missing.html"\n[backends.app]\nservers = "127.0.0.1:1"\n'
    )
    done = command("check", file)
    assert done.returncode == 2
    assert "missing.html" in done.stdout + done.stderr
    (tmp_path / "missing.html").write_text("here now")
    assert command("check", file).returncode == 0
