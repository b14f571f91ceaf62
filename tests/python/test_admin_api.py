"""The admin interface: what can be asked and told, who is shown to have done it, and that nothing is half done."""

import json
import socket
import threading

import pytest

import headworks
from headworks import Proxy
from headworks.admin.refusal import Refusal
from rig.admin import SECRETS, Door, opened, tokens

AS_OPS = {"Authorization": f"Bearer {SECRETS['ops']}"}


@pytest.fixture
def door(raw, tmp_path):
    raw["backends"]["app"]["servers"].append({"address": "127.0.0.1:1", "weight": 3, "max_connections": 5})
    raw["listeners"]["raw"]["max_connections"] = 7
    with opened(raw, tmp_path) as made:
        yield made


def server(door, address="127.0.0.1:1"):
    return door.ask("GET", f"/v1/backends/app/servers/{address}").value


def test_without_the_table_there_is_nothing(raw):
    before = set(threading.enumerate())
    with Proxy(raw) as proxy:
        assert proxy.admin_addresses == ()
        assert not [one for one in set(threading.enumerate()) - before if one.name == "admin"]


def test_status(door):
    with socket.create_connection(door.proxy.address("raw")) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        status = door.ask("GET", "/v1/status").value
    assert status["version"] == headworks.__version__
    assert status["connections"] == 1
    assert status["listeners"] == {"raw": list(door.proxy.addresses("raw"))}
    assert status["servers"] == {"up": 2}
    assert status["reloads"] == {"good": 0, "failed": 0, "last_good": None, "last_failed": None, "reason": None}
    assert status["log_level"] is None


@pytest.mark.parametrize(
    "path",
    [
        "status",
        "stats",
        "listeners",
        "tables",
        "backends",
        "servers",
        "connections",
        "certificates",
        "analyzers",
        "rules",
        "notices",
        "limits",
        "config",
        "me",
        "openapi.json",
    ],
)
def test_everything_can_be_asked_by_the_socket(door, path):
    answer = door.ask("GET", f"/v1/{path}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.value is not None
    assert door.ask("HEAD", f"/v1/{path}").body == b""


def test_stats_are_those_of_python(door):
    told = door.ask("GET", "/v1/stats").value
    assert set(told["listeners"]["raw"]) >= set(vars(door.proxy.stats().listeners["raw"]))
    assert told["listeners"]["raw"]["latency_buckets"][-1] == [None, 0]


def test_three_columns_and_who_it_was(door):
    before = server(door)
    assert before["configured"] == {"weight": 3, "backup": False, "max_connections": 5}
    assert before["override"] is None
    assert before["state"] == "up"
    changed = door.ask("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"admin": "drain", "weight": 9})
    assert changed.status == 200
    assert changed.value == server(door)
    assert changed.value["configured"]["weight"] == 3
    assert changed.value["observed"]["weight"] == 9
    assert changed.value["state"] == "drain"
    override = changed.value["override"]
    assert (override["admin"], override["weight"], override["by"]) == ("drain", 9, "ops")
    # What is left out stays.
    only = door.ask("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"admin": "ready"}).value
    assert (only["override"]["admin"], only["observed"]["weight"]) == (None, 9)
    assert door.ask("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"weight": None}).value["override"] is None


def test_every_change_is_a_notice(door):
    notices = door.proxy.notices()
    door.ask("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"admin": "maintenance"})
    notice = next(one for one in notices if one.kind == "admin_changed")
    assert notice.facts == {
        "by": "ops",
        "what": "backends.app.servers 127.0.0.1:1",
        "before": "ready weight=3",
        "after": "maintenance weight=3",
    }
    (row,) = [one for one in door.ask("GET", "/v1/notices").value if one["kind"] == "admin_changed"]
    assert row["facts"] == dict(notice.facts)
    assert door.ask("GET", f"/v1/notices?after={row['number']}").value == []


def test_changes_of_python_are_shown_as_such(door):
    door.proxy.set_server("app", "127.0.0.1:1", admin="drain")
    assert server(door)["override"]["by"] == "python"


def test_servers_come_and_go(door):
    path = "/v1/backends/app/servers"
    added = door.ask("POST", path, {"address": "127.0.0.1:2", "weight": 4})
    assert added.status == 201
    assert added.value["configured"] is None
    assert added.value["override"]["added"]["weight"] == 4
    assert door.ask("DELETE", f"{path}/127.0.0.1:2").status == 204
    assert door.ask("GET", f"{path}/127.0.0.1:2").status == 404
    assert door.ask("DELETE", f"{path}/127.0.0.1:1").status == 204
    assert [one.server for one in door.proxy.overrides() if one.removed] == ["127.0.0.1:1"]
    door.proxy.add_server("app", "127.0.0.1:1")
    assert not [one for one in door.proxy.overrides() if one.removed]


def test_a_server_at_a_unix_socket(door, tmp_path):
    path = "/v1/backends/app/servers"
    address = f"unix:{tmp_path}/x.sock"
    assert door.ask("POST", path, {"address": address}).status == 201
    quoted = address.replace("/", "%2F")
    assert door.ask("PATCH", f"{path}/{quoted}", {"weight": 5}).value["server"] == address
    assert door.ask("DELETE", f"{path}/{address}").status == 204


def test_a_whole_backend(door):
    row = door.ask("PATCH", "/v1/backends/app", {"admin": "maintenance"}).value
    assert {one["state"] for one in row["servers"]} == {"maintenance"}
    assert {one["override"]["admin"] for one in row["servers"]} == {"maintenance"}


def test_limits_are_shown_with_their_use(door):
    limits = {one["key"]: one for one in door.ask("GET", "/v1/limits").value}
    assert limits["listeners.raw.max_connections"] == {
        "key": "listeners.raw.max_connections",
        "limit": 7,
        "used": 0,
    }
    assert limits["backends.app.servers 127.0.0.1:1 max_connections"]["limit"] == 5
    assert limits["RLIMIT_NOFILE"]["used"] > 0


@pytest.mark.parametrize(
    ("method", "path", "value", "status", "code"),
    [
        ("GET", "/v1/nothing", None, 404, "not_found"),
        ("GET", "/v1/backends/none/servers/127.0.0.1:1", None, 404, "no_such_backend"),
        ("GET", "/v1/servers?backend=none", None, 404, "no_such_backend"),
        ("GET", "/v1/tables/none", None, 404, "no_such_table"),
        ("GET", "/v1/servers?odd=1", None, 400, "query"),
        ("GET", "/v1/notices?after=-1", None, 400, "query"),
        ("GET", "/v1/notices?after=1&after=2", None, 400, "query"),
        ("PATCH", "/v1/backends/app/servers/127.0.0.1:9", {"admin": "drain"}, 404, "no_such_server"),
        ("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {}, 422, "body"),
        ("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"admin": "down"}, 422, "body"),
        ("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"weight": 257}, 422, "body"),
        ("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"weight": "3"}, 422, "body"),
        ("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"odd": 1}, 422, "body"),
        ("PATCH", "/v1/backends/app/servers/127.0.0.1:1", [], 422, "body"),
        ("POST", "/v1/backends/app/servers", {"address": "nowhere"}, 422, None),
        ("POST", "/v1/backends/none/servers", {"address": "127.0.0.1:1"}, 404, "no_such_backend"),
        ("DELETE", "/v1/backends/app/servers/127.0.0.1:9", None, 404, "no_such_server"),
        ("POST", "/v1/status", {}, 405, "method"),
        ("DELETE", "/v1/config", None, 405, "method"),
        ("POST", "/v1/reload", {}, 409, "no_file"),
        ("POST", "/v1/stop", {}, 409, "no_service"),
        ("POST", "/v1/log_level", {"level": "debug"}, 409, "no_service"),
        ("POST", "/v1/log_level", {"level": "loud"}, 422, "body"),
        ("POST", "/v1/config", {}, 400, "dry_run"),
        ("PUT", "/v1/config", {"toml": ""}, 428, "if_match"),
        ("POST", "/v1/explain", {"listener": "none"}, 404, "no_such_listener"),
        ("POST", "/v1/explain", {"listener": "raw", "client": "nobody"}, 422, "not_explained"),
    ],
)
def test_what_is_refused_says_why_and_changes_nothing(  # noqa: PLR0913, PLR0917  (columns)
    door, method, path, value, status, code
):
    before = door.proxy.overrides()
    answer = door.ask(method, path, value)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.value
    assert (told["type"], told["status"]) == ("about:blank", status)
    assert code is None or told["code"] == code
    assert told["detail"]
    assert door.proxy.overrides() == before


def test_connections_are_chosen(door, origin):
    with socket.create_connection(door.proxy.address("raw")) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        for query, count in (
            ("", 1),
            ("?listener=raw", 1),
            ("?listener=none", 0),
            ("?client=127.0.0.1", 1),
            ("?client=127.0.0.0/8&backend=app", 1),
            ("?client=192.0.2.0/24", 0),
            (f"?server={origin}&limit=1", 1),
            ("?server=127.0.0.1:1", 0),
            ("?host=example.com", 0),
            ("?idle_over=3600", 0),
            ("?age_over=0", 1),
            ("?state=relaying", 1),
        ):
            page = door.ask("GET", f"/v1/connections{query}").value
            assert len(page["connections"]) == count, query
            assert page["cursor"] is None
    for query in ("?client=nobody", "?limit=0", "?limit=100000", "?idle_over=-1", "?idle_over=nan", "?odd=1"):
        assert door.ask("GET", f"/v1/connections{query}").status == 400, query


def test_explaining(door):
    told = door.ask("POST", "/v1/explain", {"listener": "raw", "client": "192.0.2.1"}).value
    assert told["backend"] == "app"
    rows = door.ask("GET", "/v1/servers").value
    assert {one["address"] for one in told["servers"]} == {one["server"] for one in rows}


def written(directory, origin):
    file = directory / "headworks.toml"
    file.write_text(
        f'[proxy]\nworkers = 1\n[logs]\naccess = "off"\n[admin]\nbind = "unix:{directory}/admin.sock"\n'
        f'tokens = "{tokens(directory)}"\n'
        '[listeners.raw]\nbind = "127.0.0.1:0"\nprotocol = "tcp"\nbackend = "app"\n'
        f'[backends.app]\nservers = ["{origin}"]\n'
    )
    return file


@pytest.fixture
def filed(origin, tmp_path):
    file = written(tmp_path, origin)
    with Proxy(file) as proxy:
        yield Door(proxy, str(tmp_path / "admin.sock"), 0)


def test_a_trial_tells_what_would_differ(filed):
    text = filed.proxy.file.read_text()
    again = filed.ask("POST", "/v1/config?dry_run=true", {}).value
    assert again["is_good"]
    assert again["changed"] == again["added"] == again["removed"] == again["needs_restart"] == []
    new = text.replace("workers = 1", 'workers = 2\ndrain = "5s"').replace("listeners.raw", "listeners.new")
    trial = filed.ask("POST", "/v1/config?dry_run=true", {"toml": new}).value
    assert trial["is_good"]
    assert (trial["added"], trial["removed"]) == (["listeners.new"], ["listeners.raw"])
    assert {"key": "proxy.drain", "before": "30s", "after": "5s"} in trial["changed"]
    assert trial["needs_restart"] == ["proxy.workers"]
    wrong = filed.ask("POST", "/v1/config?dry_run=true", {"toml": new.replace('"app"', '"ap"')}).value
    assert not wrong["is_good"]
    (problem,) = [one for one in wrong["problems"] if one["key"] == "listeners.new.backend"]
    assert problem["line"] == 12
    assert filed.proxy.config.listeners.keys() == {"raw"}


def test_put_and_its_conflicts(filed):
    file = filed.proxy.file
    text = file.read_text()
    got = filed.ask("GET", "/v1/config")
    assert got.value["text"] == text
    tag = got.headers["etag"]
    new = text.replace("listeners.raw", "listeners.new")
    assert filed.ask("PUT", "/v1/config", {"toml": new}, If_Match='"other"').status == 412
    assert file.read_text() == text
    put = filed.ask("PUT", "/v1/config", {"toml": new}, If_Match=tag)
    assert put.status == 200
    assert put.headers["etag"] != tag
    assert file.read_text() == new
    assert filed.proxy.config.listeners.keys() == {"new"}
    assert filed.ask("PUT", "/v1/config", {"toml": text}, If_Match=tag).status == 412
    filed.proxy.reload()
    assert filed.proxy.config.listeners.keys() == {"new"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_put_keeps_the_mode_of_the_file(filed, mode):
    filed.proxy.file.chmod(mode)
    put = filed.ask("PUT", "/v1/config", {"toml": filed.proxy.file.read_text() + "# more\n"}, If_Match="*")
    assert put.status == 200
    assert filed.proxy.file.stat().st_mode & 0o777 == mode


def test_what_cannot_be_used_is_rolled_back(filed):
    file = filed.proxy.file
    text = file.read_text()
    wrong = filed.ask("PUT", "/v1/config", {"toml": text.replace('"app"', '"ap"')}, If_Match="*")
    assert wrong.status == 422
    assert wrong.value["problems"][0]["key"] == "listeners.raw.backend"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        refused = filed.ask("PUT", "/v1/config", {"toml": text.replace("127.0.0.1:0", address)}, If_Match="*")
    assert refused.status == 409
    assert address in refused.value["detail"]
    assert file.read_text() == text
    assert sorted(one.name for one in file.parent.iterdir()) == ["admin.sock", "headworks.toml", "tokens"]
    assert filed.proxy.reloads.failed == 1
    assert filed.ask("GET", "/v1/status").value["reloads"]["reason"].startswith("listeners.raw: cannot bind")
    assert filed.ask("POST", "/v1/reload", {}).value == {"needs_restart": []}
    assert filed.ask("GET", "/v1/status").value["reloads"]["reason"] is None


def test_reload_says_everything_that_is_wrong(filed):
    file = filed.proxy.file
    file.write_text(file.read_text().replace("workers = 1", "workers = 3"))
    assert filed.ask("POST", "/v1/reload", {}).value == {"needs_restart": ["proxy.workers"]}
    file.write_text("[listeners.x]\nodd = 1\n")
    refused = filed.ask("POST", "/v1/reload", {})
    assert refused.status == 422
    assert "listeners.x.odd" in [one["key"] for one in refused.value["problems"]]


def test_a_change_of_admin_waits_for_a_restart(filed):
    file = filed.proxy.file
    file.write_text(file.read_text().replace("admin.sock", "other.sock"))
    assert filed.ask("POST", "/v1/reload", {}).value == {"needs_restart": ["admin.bind"]}
    file.write_text(
        file.read_text().partition("[admin]")[0] + "[listeners.raw]" + file.read_text().partition("[listeners.raw]")[2]
    )
    assert filed.ask("POST", "/v1/reload", {}).value == {"needs_restart": ["admin"]}
    assert filed.ask("GET", "/v1/status").status == 200


def test_draining_is_told_and_loads_nothing_more(filed):
    assert filed.ask("GET", "/readyz").status == 200
    assert filed.ask("POST", "/v1/drain", {}).status == 202
    assert filed.ask("POST", "/v1/drain", {}).status == 202
    assert filed.ask("GET", "/readyz").status == 503
    assert filed.ask("GET", "/healthz").body == b"ok\n"
    assert filed.ask("GET", "/v1/status").value["is_draining"]
    assert filed.ask("POST", "/v1/reload", {}).value["code"] == "draining"


def test_overrides_are_kept_over_reloads_until_servers_change(filed, origin):
    filed.ask("PATCH", f"/v1/backends/app/servers/{origin}", {"admin": "drain"})
    filed.ask("POST", "/v1/backends/app/servers", {"address": "127.0.0.1:2"})
    filed.ask("POST", "/v1/reload", {})
    rows = {one["server"]: one for one in filed.ask("GET", "/v1/servers").value}
    assert rows[origin]["state"] == "drain"
    assert rows["127.0.0.1:2"]["override"]["added"]
    file = filed.proxy.file
    file.write_text(file.read_text().replace(f'servers = ["{origin}"]', 'servers = ["127.0.0.1:3"]'))
    filed.ask("POST", "/v1/reload", {})
    assert [(one["server"], one["override"]) for one in filed.ask("GET", "/v1/servers").value] == [
        ("127.0.0.1:3", None)
    ]


def test_overrides_are_kept_over_a_restart_where_that_is_asked_for(raw, origin, tmp_path):
    raw["backends"]["app"]["servers"].append("127.0.0.1:1")
    state = str(tmp_path / "state.json")
    with opened(raw, tmp_path, state=state) as door:
        door.ask("PATCH", f"/v1/backends/app/servers/{origin}", {"admin": "drain", "weight": 7})
        door.ask("POST", "/v1/backends/app/servers", {"address": "127.0.0.1:2", "weight": 5})
        door.ask("DELETE", "/v1/backends/app/servers/127.0.0.1:1")
        before = door.proxy.overrides()
    with opened(raw, tmp_path, state=state) as door:
        assert door.proxy.overrides() == before
        rows = {one["server"]: one for one in door.ask("GET", "/v1/servers").value}
        assert rows.keys() == {origin, "127.0.0.1:2"}
        assert (rows[origin]["state"], rows[origin]["observed"]["weight"]) == ("drain", 7)
        assert rows["127.0.0.1:2"]["observed"]["weight"] == 5
    with opened(raw, tmp_path) as door:
        assert door.proxy.overrides() == ()


def test_a_state_that_no_longer_fits_is_told_and_forgotten(raw, tmp_path):
    state = tmp_path / "state.json"
    one = {"backend": "gone", "server": "127.0.0.1:1", "admin": "drain", "by": "x", "since": 1.0}
    state.write_text(json.dumps({"version": 1, "servers": [one]}))
    with opened(raw, tmp_path, state=str(state)) as door:
        notice = next(one for one in door.proxy.notices() if one.kind == "override_forgotten")
        assert "gone" in str(notice.facts["reason"])
        assert json.loads(state.read_text())["servers"] == []


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2, "servers": []}', '{"version": 1, "servers": [{"odd": 1}]}'])
def test_a_state_that_is_none_stops_the_start_and_nothing_is_left(raw, tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(ValueError, match="no file of ours"), opened(raw, tmp_path, state=str(tmp_path / "state.json")):
        pass
    assert not (tmp_path / "admin.sock").exists()
    assert (tmp_path / "state.json").read_text() == text


def test_addresses_that_cannot_be_had_are_told_before_anything_runs(raw, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        with pytest.raises(headworks.BindError) as raised:
            Proxy({**raw, "admin": {"bind": [address, f"unix:{tmp_path}/none/x.sock"]}}).start()
    assert [one.address for one in raised.value.failures] == [address, f"unix:{tmp_path}/none/x.sock"]
    assert str(raised.value).startswith(f"admin: cannot bind {address}: ")


def test_two_proxies_do_not_share_a_socket(door, raw, tmp_path):
    with pytest.raises(headworks.BindError), opened(raw, tmp_path):
        pass
    assert door.ask("GET", "/v1/status").status == 200


def test_a_socket_that_nobody_serves_is_taken(raw, tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "admin.sock"))
    with opened(raw, tmp_path) as door:
        assert door.ask("GET", "/v1/status").status == 200
    assert not (tmp_path / "admin.sock").exists()


def test_the_usual_socket(raw, tmp_path, monkeypatch):
    monkeypatch.setattr("headworks.admin.client.DIRECTORY", tmp_path / "none" / "run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with Proxy({**raw, "admin": {}}) as proxy:
        assert proxy.admin_addresses == (f"unix:{tmp_path}/headworks/admin.sock",)
        assert (tmp_path / "headworks" / "admin.sock").stat().st_mode & 0o777 == 0o660
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(headworks.BindError, match="admin: cannot bind unix:"):
        Proxy({**raw, "admin": {}}).start()


def test_python_can_ask_the_same(door):
    assert door.proxy.admin.status().version == headworks.__version__
    with pytest.raises(Refusal) as raised:
        door.proxy.admin.server("app", "nowhere")
    assert raised.value.code == "no_such_server"


def test_events(door):
    connection = door.connection()
    connection.request("GET", "/v1/events", headers=AS_OPS)
    response = connection.getresponse()
    assert response.getheader("content-type") == "text/event-stream; charset=utf-8"
    assert response.readline() == b"retry: 2000\n"
    kind, value = event(response)
    assert kind == {"event": "stats"}
    assert value["workers"] == 1
    door.ask("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"admin": "drain"})
    fields, notice = next(one for one in iter(lambda: event(response), None) if one[0]["event"] == "notice")
    assert notice["kind"] == "admin_changed"
    assert fields["id"] == str(notice["number"])
    connection.close()
    door.ask("PATCH", "/v1/backends/app/servers/127.0.0.1:1", {"admin": "ready"})
    # Whoever comes back with the last number gets what was missed, and that alone.
    connection = door.connection()
    connection.request("GET", "/v1/events", headers={**AS_OPS, "Last-Event-ID": fields["id"]})
    response = connection.getresponse()
    response.readline()
    fields, missed = next(one for one in iter(lambda: event(response), None) if one[0]["event"] == "notice")
    assert missed["facts"]["after"] == "ready weight=3"
    connection.close()


def event(response):
    """Read one event: its fields but the last, and the value of that."""
    fields = {}
    while True:
        line = response.readline().decode().rstrip("\n")
        name, _, text = line.partition(": ")
        if not line and "data" in fields:
            value = json.loads(fields.pop("data"))
            return fields, value
        if line:
            fields[name] = text


def test_stopping_ends_events(raw, tmp_path):
    with opened(raw, tmp_path) as door:
        connection = door.connection()
        connection.request("GET", "/v1/events", headers=AS_OPS)
        response = connection.getresponse()
        response.readline()
        door.proxy.stop()
        assert response.read().startswith(b"\n")
        connection.close()
    assert not [one for one in threading.enumerate() if one.name == "admin"]


def test_stop_and_start_again(raw, tmp_path):
    with opened(raw, tmp_path) as door:
        for _ in range(3):
            door.proxy.stop()
            assert not (tmp_path / "admin.sock").exists()
            door.proxy.start()
            assert door.ask("GET", "/v1/status").status == 200


def test_proxies_of_tests_open_no_door(raw, tmp_path):
    from headworks.testing.proxies import TestedProxy

    with TestedProxy({**raw, "admin": {"bind": f"unix:{tmp_path}/admin.sock"}}) as proxy:
        assert proxy.admin_addresses == ()
        assert proxy.admin.status().workers == 1


def test_many_reloads_and_changes_while_many_ask(filed, origin):
    """Whatever comes at once, every answer is whole and the proxy serves."""
    failed = []

    def go(does):
        for _ in range(15):
            answer = does()
            if answer.status not in (200, 404):
                failed.append((answer.status, answer.body))

    server_path = f"/v1/backends/app/servers/{origin}"
    work = [
        lambda: filed.ask("POST", "/v1/reload", {}),
        lambda: filed.ask("GET", "/v1/servers"),
        lambda: filed.ask("PATCH", server_path, {"admin": "drain"}),
        lambda: filed.ask("PATCH", server_path, {"admin": "ready", "weight": None}),
        lambda: filed.ask("GET", "/v1/config"),
        lambda: filed.ask("PUT", "/v1/config", {"toml": filed.proxy.file.read_text()}, If_Match="*"),
    ]
    threads = [threading.Thread(target=go, args=(one,)) for one in work]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []
    filed.ask("PATCH", server_path, {"admin": "ready", "weight": None})
    assert filed.proxy.overrides() == ()
    with socket.create_connection(filed.proxy.address("raw")) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
