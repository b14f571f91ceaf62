"""The fixtures of the pytest plugin, one by one, without and with a proxy in between."""

import sys
import threading

import pytest

import headworks
from headworks.testing import Answer, Client, Received, plugin

# Those of the plugin, whatever this folder has under the same name.
origin = plugin.origin


def web(*servers: str, **backend: object) -> dict:
    """Return a configuration with one http listener, on a port that is not free for tests."""
    return {
        "listeners": {"web": {"bind": "0.0.0.0:80", "protocol": "http", "backend": "app"}},
        "backends": {"app": {"servers": list(servers), **backend}},
    }


def raw(*servers: str) -> dict:
    """Return a configuration with one tcp listener."""
    return {
        "listeners": {"raw": {"bind": ":5432", "protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": list(servers), "retries": 0}},
    }


# ---- origin and client


def test_an_origin_answers_and_remembers(origin, client):
    app = origin(status=201, headers={"X-App": "one"}, body="hello")
    reply = client.post(app.address, "/a?b=c", host="a.example", headers=[("X-A", "1"), ("X-A", "2")], body=b"sent")
    assert (reply.status, reply.text, reply.header("x-app")) == (201, "hello", "one")
    (request,) = app.wait_for(1)
    assert (request.method, request.path, request.body) == ("POST", "/a?b=c", b"sent")
    assert request.header("host") == "a.example"
    assert [value for name, value in request.headers if name == "X-A"] == ["1", "2"]


def test_answers_are_given_in_turn_and_the_last_again(origin, client):
    app = origin(Answer(status=503), Answer(status=200))
    assert [client.get(app.address).status for _ in range(3)] == [503, 200, 200]
    app.answer_with(status=404)
    assert client.get(app.address).status == 404
    assert len(app.requests) == 4


def test_a_script_may_be_a_function(origin, client):
    def script(request: Received) -> Answer:
        return Answer(body=request.path[::-1])

    assert client.get(origin(script).address, "/abc").text == "cba/"


def test_a_script_that_fails_fails_the_test(origin, client):
    app = origin(lambda request: request.nothing)
    with pytest.raises(ConnectionError):
        client.get(app.address)
    with pytest.raises(RuntimeError, match="AttributeError"):
        app.wait_for(2)


def test_a_connection_is_kept_for_another_request(origin, client):
    app = origin(body="x")
    asked = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    heard = client.raw(app.address, asked + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n", end=True)
    assert heard.end == "closed"
    assert heard.received.count(b"HTTP/1.1 200") == 2
    assert [(one.path, one.body) for one in app.requests] == [("/1", b""), ("/2", b"abcde")]


def test_what_answers_may_be(origin, client):
    asked = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for answer, end, received in (
        (Answer.reset(), "reset", b""),
        (Answer.close(), "closed", b""),
        (Answer.garbage(b"what?"), "closed", b"what?"),
        (Answer.truncated("abcdef", 2), "closed", b"HTTP/1.1 200 Scripted\r\nContent-Length: 6\r\n\r\nab"),
    ):
        heard = client.raw(origin(answer).address, asked)
        assert (heard.end, heard.received) == (end, received)


def test_slow_and_late_answers_come_whole(origin, client):
    assert client.get(origin(Answer.slow("abc", piece=10, interval=0.001)).address).text == "abc"
    assert client.get(origin(body="abc", delay=0.01).address).text == "abc"
    assert client.request("HEAD", origin(body="abc").address).header("content-length") == "3"
    assert client.get(origin(status=204).address).body == b""


def test_a_delay_does_not_hold_up_the_end_of_the_test(origin, client):
    app = origin(body="never", delay=3600)
    with pytest.raises(TimeoutError, match=r"0\.05 s for the head"):
        client.get(app.address, timeout=0.05)
    app.wait_for(1)
    app.close()


def test_waiting_has_an_end(origin):
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        origin().wait_for(1, timeout=0.01)


def test_a_deadline_says_what_came(origin, client):
    app = origin(body="x")
    heard = client.raw(app.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", timeout=0.1)
    app.wait_for(1)
    assert heard.end == "deadline"
    assert b"HTTP/1.1 200 Scripted\r\nContent-Length: 1\r\n\r\nx".startswith(heard.received)


def test_what_is_no_script_is_refused(origin):
    with pytest.raises(TypeError):
        origin(Answer(), status=200)
    with pytest.raises(TypeError):
        origin(Answer(), "no answer")


# ---- headworks_proxy


def test_a_proxy_runs_on_free_ports_and_keeps_its_records(headworks_proxy, origin, client):
    app = origin(body="hello")
    proxy = headworks_proxy(web(app.address))
    host, port = proxy.address("web")
    assert host == "127.0.0.1"
    assert port != 80
    assert client.get(proxy.address("web"), "/x", host="a.example").text == "hello"
    (record,) = proxy.recorded(1)
    assert (record.method, record.path, record.status, record.server) == ("GET", "/x", 200, app.address)
    assert proxy.stats().listeners["web"].requests == 1
    assert f"server={app.address}" in proxy.report()


def test_the_log_of_the_real_site_is_not_written(headworks_proxy, origin, client, tmp_path):
    log = tmp_path / "access.log"
    proxy = headworks_proxy({**web(origin().address), "logs": {"access": str(log)}})
    assert client.get(proxy.address("web")).status == 200
    proxy.recorded(1)
    assert not log.exists()


def test_two_proxies_of_one_configuration_stand_side_by_side(headworks_proxy, origin):
    config = web(origin().address)
    assert headworks_proxy(config).address("web") != headworks_proxy(config).address("web")


@pytest.mark.parametrize("form", ["text", "path", "config"])
def test_configurations_come_in_any_form(form, headworks_proxy, origin, client, tmp_path):
    app = origin(body="hello")
    text = headworks.Config.parse(web(app.address)).to_toml()
    file = tmp_path / "headworks.toml"
    file.write_text(text)
    source = {"text": text, "path": file, "config": headworks.Config.load(file)}[form]
    assert client.get(headworks_proxy(source).address("web")).text == "hello"


def test_rules_and_pages_are_found_beside_the_file(headworks_proxy, origin, client, tmp_path):
    (tmp_path / "beside.py").write_text(
        "import headworks\n\n\n@headworks.rule\ndef banned(request: headworks.Request):\n"
        "    return headworks.respond(451) if request.path == '/banned' else None\n"
    )
    (tmp_path / "421.txt").write_text("nothing here")
    (tmp_path / "headworks.toml").write_text(
        '[listeners.web]\nbind = ":80"\nprotocol = "http"\ntable = "sites"\nrules = "beside:banned"\n'
        'error_pages = { 421 = "421.txt" }\n[tables.sites]\n"a.example" = "app"\n[backends.app]\n'
        f'servers = "{origin(body="hello").address}"\n'
    )
    address = headworks_proxy(tmp_path / "headworks.toml").address("web")
    assert client.get(address, "/", host="a.example").text == "hello"
    assert client.get(address, "/banned", host="a.example").status == 451
    assert client.get(address, "/", host="b.example").text == "nothing here"


def test_a_reload_keeps_the_port_and_reads_the_file_again(headworks_proxy, origin, client, tmp_path):
    file = tmp_path / "headworks.toml"
    file.write_text(headworks.Config.parse(web(origin(body="old").address)).to_toml())
    proxy = headworks_proxy(str(file))
    address = proxy.address("web")
    assert client.get(address).text == "old"
    file.write_text(headworks.Config.parse(web(origin(body="new").address)).to_toml())
    assert proxy.reload() == ()
    assert client.get(address).text == "new"
    proxy.reload(web(origin(body="other").address))
    assert proxy.address("web") == address
    assert client.get(address).text == "other"


def test_a_proxy_without_a_file_must_be_told_what_to_reload(headworks_proxy, origin):
    with pytest.raises(ValueError, match="not made from a file"):
        headworks_proxy(web(origin().address)).reload()


def test_problems_of_text_have_lines(headworks_proxy):
    with pytest.raises(headworks.ConfigError) as caught:
        headworks_proxy('[listeners.web]\nbind = "127.0.0.1:0"\nprotocol = "htpt"\nbackend = "app"\n')
    assert 3 in {one.line for one in caught.value.problems}


def test_records_that_do_not_come_are_waited_for_in_vain(headworks_proxy, origin):
    proxy = headworks_proxy(web(origin().address))
    with pytest.raises(TimeoutError, match="0 of 1 access records"):
        proxy.recorded(1, timeout=0.01)
    with pytest.raises(TimeoutError, match="server_down"):
        proxy.noticed("server_down", timeout=0.01)


def test_records_can_be_read_after_the_end(headworks_proxy, origin, client):
    proxy = headworks_proxy(web(origin().address))
    client.get(proxy.address("web"))
    proxy.stop()
    assert [one.status for one in proxy.recorded()] == [200]
    assert "not running" in proxy.report()


def test_a_server_that_goes_down_is_noticed(headworks_proxy, origin):
    app = origin()
    proxy = headworks_proxy(web(app.address, health={"interval": "10ms", "fall": 1, "rise": 1}))
    app.refuse()
    (notice, *_) = [one for one in proxy.noticed("server_down") if one.kind == "server_down"]
    assert notice.facts["server"] == app.address
    app.accept()
    proxy.noticed("server_up")


# ---- TLS and WebSocket


def test_tls_says_what_was_agreed_on(headworks_proxy, client):
    listener = {"bind": ":443", "protocol": "https", "tls": {"self_signed": True}, "respond": {"body": "secret"}}
    proxy = headworks_proxy({"listeners": {"web": listener}})
    address = proxy.address("web")
    secured = client.tls(address, "a.example", alpn=["http/1.1"])
    assert secured.selected_alpn_protocol() == "http/1.1"
    assert client.get(address, host="a.example", sni="a.example").text == "secret"
    record = next(one for one in proxy.recorded(1) if one.path)
    assert record.sni == "a.example"


def test_tls_is_verified_when_asked(headworks_proxy, client):
    tls = {"self_signed": ["a.example"]}
    listener = {"bind": ":443", "protocol": "https", "tls": tls, "respond": {"body": "secret"}}
    proxy = headworks_proxy({"listeners": {"web": listener}})
    ca = proxy.authority("web")
    assert client.get(proxy.address("web"), host="a.example", ca=ca).text == "secret"
    with pytest.raises(OSError, match=r"(?i)certificate"):
        client.get(proxy.address("web"), host="b.example", ca=ca)


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:0", "unix:{}/a.sock"])
def test_the_address_is_asked_for_unless_a_host_is_given(bind, headworks_proxy, client, tmp_path):
    answer = {"status": 200, "body": "{name}"}
    web = {"bind": bind.format(tmp_path), "protocol": "http", "respond": answer}
    address = headworks_proxy({"listeners": {"web": web}}).address("web")

    assert client.get(address).text == ("localhost" if "unix" in bind else bind.rpartition(":")[0])
    assert client.get(address, host="a.example").text == "a.example"


def test_a_websocket_is_opened(headworks_proxy, client):
    server = pytest.importorskip("websockets.sync.server")
    with server.serve(lambda one: one.send(f"you said {one.recv()}"), "127.0.0.1", 0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        try:
            proxy = headworks_proxy(web("{}:{}".format(*serving.socket.getsockname())))
            with client.websocket(proxy.address("web"), "/chat", host="a.example") as opened:
                opened.send("hello")
                assert opened.recv(timeout=10) == "you said hello"
        finally:
            serving.shutdown()
            thread.join(10)


def test_without_the_package_a_websocket_is_skipped(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.sync.client", None)
    with pytest.raises(pytest.skip.Exception, match="websockets"):
        client.websocket("127.0.0.1:1")
    with pytest.raises(ModuleNotFoundError):
        Client().websocket("127.0.0.1:1")


# ---- faults


def test_a_middleman_passes_on(headworks_proxy, origin, client, faults):
    app = origin(body="x" * 100_000)
    between = faults.between(app.address)
    proxy = headworks_proxy(web(between.address))
    assert client.get(proxy.address("web")).text == "x" * 100_000
    between.wait_for(1)
    app.wait_for(1)


def test_a_server_that_refuses(headworks_proxy, origin, client, faults):
    between = faults.between(origin(body="hello").address)
    proxy = headworks_proxy(web(between.address, retries=0))
    assert client.get(proxy.address("web")).status == 200
    between.refuse()
    assert client.get(proxy.address("web")).status == 503
    assert proxy.recorded(2)[-1].connect_error
    between.pass_on()
    assert client.get(proxy.address("web")).status == 200


def test_a_server_that_says_nothing(headworks_proxy, origin, client, faults):
    app = origin(body="hello")
    between = faults.between(app.address)
    between.drop()
    proxy = headworks_proxy(web(between.address, retries=0, response_timeout="50ms"))
    assert client.get(proxy.address("web")).status == 504
    assert app.requests == ()
    between.pass_on()
    proxy.reload(web(between.address))
    assert client.get(proxy.address("web")).status == 200


def test_a_server_that_is_late(headworks_proxy, origin, client, faults):
    between = faults.between(origin(body="hello").address)
    proxy = headworks_proxy(web(between.address))
    between.delay(0.02)
    assert client.get(proxy.address("web")).status == 200
    # Each way is late; clocks of milliseconds are rounded.
    assert proxy.recorded(1)[-1].total_ms >= 30


def test_a_server_that_is_cut_off(headworks_proxy, origin, client, faults):
    between = faults.between(origin(body="x" * 1000).address)
    between.cut_after(200)
    proxy = headworks_proxy(web(between.address, retries=0))
    with pytest.raises(ConnectionError):
        client.get(proxy.address("web"))
    between.cut_after(0)
    assert client.get(proxy.address("web")).status == 502


def test_cut_connections_are_reset_after_so_many_bytes(origin, client, faults):
    between = faults.between(origin(body="x" * 1000).address)
    between.cut_after(60)
    heard = client.raw(between.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert heard.end == "reset"
    assert len(heard.received) <= 60


def test_bytes_of_tcp_pass_both_ways_and_end_one_by_one(headworks_proxy, origin, client, faults):
    between = faults.between(origin(body="hello").address)
    proxy = headworks_proxy(raw(between.address))
    heard = client.raw(proxy.address("raw"), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", end=True)
    assert (heard.end, heard.received[-5:]) == ("closed", b"hello")
    assert proxy.recorded(1)[0].bytes_out == len(heard.received)


def test_faults_that_are_none_are_refused(origin, faults):
    between = faults.between(origin().address)
    with pytest.raises(ValueError, match="at least 0 s"):
        between.delay(-1)
    with pytest.raises(ValueError, match="at least 0"):
        between.cut_after(-1)
