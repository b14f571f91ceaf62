"""Servers found by lists behind URLs, Docker and Consul: faithful small APIs that misbehave, and Podman's real one."""

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from headworks import Proxy
from rig.configs import Config, http, tcp
from rig.http_clients import ask, get
from rig.http_origins import HttpOrigin
from rig.sources import Api, ConsulApi, DockerApi, HttpSd
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

TROUBLES = {
    "slow": "no answer within",
    "cut": "RemoteProtocolError",
    "error": "the answer is 500",
    "junk": "no JSON",
    "elsewhere": "302, which leads elsewhere",
    "compressed": "compressed",
    "endless": "longer than 16 MiB",
    "gone": "ConnectError",
}
"""What is wrong with an API, and what is said of it."""


@pytest.fixture
def sd(stack: ExitStack) -> HttpSd:
    return stack.enter_context(HttpSd())


@pytest.fixture
def docker(stack: ExitStack, tmp_path: Path) -> DockerApi:
    return stack.enter_context(DockerApi(tmp_path / "docker.sock"))


@pytest.fixture
def consul(stack: ExitStack) -> ConsulApi:
    return stack.enter_context(ConsulApi())


def of_list(sd: HttpSd, **settings: Any) -> Config:
    return tcp(f"{sd.url}/app") | {"providers": {"http": {"interval": "100ms", "timeout": "2s"} | settings}}


def of_docker(docker: DockerApi, **settings: Any) -> Config:
    return tcp("docker:app") | {"providers": {"docker": {"socket": str(docker._path), "timeout": "2s"} | settings}}


def of_consul(consul: ConsulApi, **settings: Any) -> Config:
    return tcp("consul:app") | {"providers": {"consul": {"address": consul.url, "timeout": "2s"} | settings}}


def servers(proxy: Proxy) -> dict[str, int]:
    return {address: one.weight for address, one in proxy.stats().backends["app"].servers.items()}


def source(proxy: Proxy) -> Any:
    (one,) = proxy.stats().backends["app"].sources.values()
    return one


def recovers(proxy: Proxy, api: Api, trouble: str, change: Callable[[], None], after: str) -> None:
    """Have trouble, see that it is told and that the servers stay, and that all is well once it is over."""
    before = servers(proxy)
    if trouble == "gone":
        api.stop()
    else:
        api.trouble = trouble
        change()
    until(lambda: TROUBLES[trouble] in str(source(proxy).failure), patience=60)
    assert servers(proxy) == before
    api.trouble = ""
    api.released.set()
    if trouble == "gone":
        api.start()
    change()
    until(lambda: after in servers(proxy), patience=60)
    assert source(proxy).failure is None


# ---- lists behind URLs


def test_a_list_behind_a_url_is_asked_for_again_and_again(start: Start, sd: HttpSd) -> None:
    sd.set("127.0.0.1:1", "[::1]:2", weight="3", env="prod")
    proxy = start(of_list(sd))
    assert servers(proxy) == {"127.0.0.1:1": 3, "[::1]:2": 3}
    sd.set("127.0.0.1:4")
    until(lambda: servers(proxy) == {"127.0.0.1:4": 1})
    path, _, fields = sd.asked[0]
    assert path == "/app"
    assert fields["X-Prometheus-Refresh-Interval-Seconds"] == "0.1"
    assert "Authorization" not in fields


def test_what_has_not_changed_is_not_sent_again(start: Start, sd: HttpSd) -> None:
    sd.set("127.0.0.1:1")
    proxy = start(of_list(sd))
    until(lambda: sum("If-None-Match" in fields for _, _, fields in sd.asked) > 3)
    assert servers(proxy) == {"127.0.0.1:1": 1}
    assert source(proxy).failure is None
    sd.has_tags = False
    sd.set("127.0.0.1:2")
    until(lambda: servers(proxy) == {"127.0.0.1:2": 1})


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_servers_of_a_list_stay_whatever_becomes_of_it(trouble: str, start: Start, sd: HttpSd) -> None:
    sd.set("127.0.0.1:1")
    proxy = start(of_list(sd))
    recovers(proxy, sd, trouble, lambda: sd.set("127.0.0.1:2"), "127.0.0.1:2")


@pytest.mark.parametrize("value", [None, {}, "x", [1], [{"targets": ["127.0.0.1:1"], "labels": {"weight": "many"}}]])
def test_a_list_that_makes_no_sense_is_refused(value: Any, start: Start, sd: HttpSd) -> None:
    sd.set("127.0.0.1:1")
    proxy = start(of_list(sd))
    sd.value = value
    until(lambda: source(proxy).failure)
    assert servers(proxy) == {"127.0.0.1:1": 1}


def test_a_token_is_sent_and_read_again(start: Start, sd: HttpSd, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    sd.set("127.0.0.1:1")
    proxy = start(of_list(sd, token=str(token)))
    assert sd.asked[0][2]["Authorization"] == "Bearer first"
    token.write_text("second")
    until(lambda: sd.asked[-1][2]["Authorization"] == "Bearer second")
    token.unlink()
    asked = len(sd.asked)
    until(lambda: len(sd.asked) > asked + 2)
    assert sd.asked[-1][2]["Authorization"] == "Bearer second", "what was in it before"
    assert source(proxy).failure is None


def test_a_url_may_have_a_query(start: Start, sd: HttpSd) -> None:
    sd.set("127.0.0.1:1")
    config = tcp(f"{sd.url}/app?env=prod&x=%20")
    start(config)
    assert sd.asked[0][1] == {"env": ["prod"], "x": [" "]}


def test_tls_is_verified(start: Start, https_origin: Any, pki: Any) -> None:
    listing = https_origin(pki.server("localhost"))
    url = f"https://localhost:{listing.address.rpartition(':')[2]}/app"
    proxy = start(tcp(url, "127.0.0.1:1"))
    assert "CERTIFICATE_VERIFY_FAILED" in str(source(proxy).failure)
    proxy = start(tcp(url, "127.0.0.1:1") | {"providers": {"http": {"ca": str(pki.ca)}}})
    assert "JSON" in str(source(proxy).failure), "it was asked, and this one has no list"


# ---- Docker


def test_only_containers_with_our_label_are_servers(start: Start, docker: DockerApi) -> None:
    docker.run("app-1", "172.17.0.2", backend="app")
    docker.run("app-2", "172.17.0.3", backend="app", port="9000", weight="5")
    docker.run("other", "172.17.0.4", backend="other")
    docker.run("theirs", "172.17.0.5")
    docker.run("sick", "172.17.0.6", "Up 2 minutes (unhealthy)", backend="app")
    docker.run("young", "172.17.0.7", "Up 1 second (health: starting)", backend="app")
    docker.run("well", "172.17.0.8", "Up 2 minutes (healthy)", backend="app")
    docker.run("gone", "172.17.0.9", backend="app")
    docker.die("gone")
    proxy = start(of_docker(docker))
    assert servers(proxy) == {"172.17.0.2:8000": 1, "172.17.0.3:9000": 5, "172.17.0.8:8000": 1}


def test_containers_that_come_go_and_fall_ill_are_seen_at_once(start: Start, docker: DockerApi) -> None:
    docker.run("app-1", "172.17.0.2", backend="app")
    proxy = start(of_docker(docker, interval="1h"))
    docker.run("app-2", "172.17.0.3", backend="app")
    until(lambda: len(servers(proxy)) == 2)
    docker.containers["app-1"]["Status"] = "Up 2 minutes (unhealthy)"
    docker.tell("health_status: unhealthy", "app-1")
    until(lambda: servers(proxy) == {"172.17.0.3:8000": 1})
    docker.die("app-2")
    until(lambda: "min_servers is 1" in str(source(proxy).failure))
    assert servers(proxy) == {"172.17.0.3:8000": 1}, "the last one stays until there is another"
    docker.run("app-3", "172.17.0.4", backend="app")
    until(lambda: servers(proxy) == {"172.17.0.4:8000": 1})


def test_a_silent_stream_of_events_is_not_believed_for_ever(start: Start, docker: DockerApi) -> None:
    docker.run("app-1", "172.17.0.2", backend="app")
    proxy = start(of_docker(docker, interval="200ms"))
    docker.is_mute = True
    docker.run("app-2", "172.17.0.3", backend="app")
    until(lambda: len(servers(proxy)) == 2)


@pytest.mark.parametrize("trouble", ["cut", "error", "junk", "endless", "gone"])
def test_the_containers_stay_whatever_becomes_of_docker(trouble: str, start: Start, docker: DockerApi) -> None:
    docker.run("app-1", "172.17.0.2", backend="app")
    proxy = start(of_docker(docker))

    def change() -> None:
        docker.run("app-2", "172.17.0.3", backend="app")

    recovers(proxy, docker, trouble, change, "172.17.0.3:8000")


def test_a_container_with_wrong_labels_is_its_own_problem(
    start: Start, docker: DockerApi, caplog: pytest.LogCaptureFixture
) -> None:
    docker.run("good", "172.17.0.2", backend="app")
    docker.run("bad", "172.17.0.3", backend="app", port="http")
    docker.run("worse", "172.17.0.4", backend="app", weight="much")
    docker.run("alone", "", backend="app")
    docker.containers["alone"]["NetworkSettings"] = {"Networks": {}}
    proxy = start(of_docker(docker))
    assert servers(proxy) == {"172.17.0.2:8000": 1}
    said = {record.getMessage() for record in caplog.records if record.name == "headworks.providers"}
    assert {one.split(":")[2].strip() for one in said} == {"bad", "worse", "alone"}


def test_networks_are_chosen(start: Start, docker: DockerApi) -> None:
    docker.run("app-1", "172.17.0.2", backend="app", port="80")
    networks = docker.containers["app-1"]["NetworkSettings"]["Networks"]
    networks["web"] = {"IPAddress": "10.9.0.2"}
    networks["six"] = {"IPAddress": "", "GlobalIPv6Address": "2001:db8::2"}
    proxy = start(of_docker(docker))
    assert servers(proxy) == {"172.17.0.2:80": 1}
    proxy.reload(of_docker(docker, network="web"))
    assert servers(proxy) == {"10.9.0.2:80": 1}
    docker.containers["app-1"]["Labels"]["headworks.network"] = "six"
    docker.tell("update", "app-1")
    until(lambda: servers(proxy) == {"[2001:db8::2]:80": 1})


# ---- Consul


def test_instances_of_a_service_are_servers(start: Start, consul: ConsulApi) -> None:
    consul.set(
        {"address": "10.0.0.1:80", "weight": 3},
        {"address": ":81", "node": "10.0.0.2"},
        {"address": "2001:db8::1:82"},
        {"address": "10.0.0.3:80", "status": "critical"},
        {"address": "10.0.0.4:80", "weight": 65535},
    )
    proxy = start(of_consul(consul))
    found = {"10.0.0.1:80": 3, "10.0.0.2:81": 1, "[2001:db8::1]:82": 1, "10.0.0.4:80": 256}
    assert servers(proxy) == found
    (path, query, _) = consul.asked[0]
    assert path == "/v1/health/service/app"
    assert query["passing"] == ["true"]
    assert "stale" in query


def test_a_query_waits_until_something_changes(start: Start, consul: ConsulApi) -> None:
    consul.set({"address": "10.0.0.1:80"})
    proxy = start(of_consul(consul))
    until(lambda: len(consul.asked) == 2)
    assert consul.asked[1][1]["index"] == [str(consul.index)]
    assert consul.asked[1][1]["wait"] == ["60000ms"]
    consul.set({"address": "10.0.0.2:80"})
    until(lambda: servers(proxy) == {"10.0.0.2:80": 1})


def test_an_index_that_goes_back_begins_anew(start: Start, consul: ConsulApi) -> None:
    consul.index = 1000
    consul.set({"address": "10.0.0.1:80"})
    proxy = start(of_consul(consul))
    until(lambda: len(consul.asked) == 2)
    # As after a restore from a snapshot.
    consul.index = 3
    consul.set({"address": "10.0.0.2:80"})
    until(lambda: servers(proxy) == {"10.0.0.2:80": 1})
    until(lambda: any(query["index"] == ["0"] for _, query, _ in consul.asked[2:]))
    until(lambda: consul.asked[-1][1]["index"] == ["4"])


def test_an_index_of_0_makes_no_storm(start: Start, consul: ConsulApi) -> None:
    consul.set({"address": "10.0.0.1:80"})
    consul.index = 0
    start(of_consul(consul))
    begun = time.monotonic()
    until(lambda: len(consul.asked) >= 5)
    assert time.monotonic() - begun > 1.0


def test_token_datacenter_and_tags(start: Start, consul: ConsulApi, tmp_path: Path) -> None:
    consul.token = "secret"
    consul.set({"address": "10.0.0.1:80", "tags": ["v2", "public"]}, {"address": "10.0.0.2:80", "tags": ["v1"]})
    token = tmp_path / "token"
    token.write_text("wrong")
    proxy = start(of_consul(consul, token=str(token), tags="v2", datacenter="dc1", passing=False, stale=False))
    assert "the answer is 403" in str(source(proxy).failure)
    token.write_text("secret\n")
    until(lambda: servers(proxy) == {"10.0.0.1:80": 1})
    query = consul.asked[-1][1]
    assert (query["tag"], query["dc"]) == (["v2"], ["dc1"])
    assert not {"passing", "stale"} & query.keys()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_instances_stay_whatever_becomes_of_consul(trouble: str, start: Start, consul: ConsulApi) -> None:
    consul.set({"address": "10.0.0.1:80"})
    proxy = start(of_consul(consul, interval="1s", timeout="1s"))
    recovers(proxy, consul, trouble, lambda: consul.set({"address": "10.0.0.2:80"}), "10.0.0.2:80")


# ---- traffic


def test_consul_flaps_under_load_and_no_request_fails(start: Start, http_origin: MakeHttp, consul: ConsulApi) -> None:
    good, other = http_origin(name="good"), http_origin(name="other")
    consul.set({"address": good.address})
    config = http("consul:app") | {"providers": {"consul": {"address": consul.url, "timeout": "1s"}}}
    proxy = start(config)
    over = threading.Event()
    turns = 0

    def change() -> None:
        nonlocal turns
        while not over.wait(0.1):
            consul.trouble = ("", "", "error", "", "junk", "")[turns % 6]
            if turns % 20 == 10:
                consul.stop()
                consul.start()
            beside = [[], [{"address": other.address}], [{"address": "127.0.0.1:1"}]][turns % 3]
            consul.set({"address": good.address}, *beside)
            turns += 1

    changing = threading.Thread(target=change)
    changing.start()
    try:
        count = 0
        while turns < 50 or count < 500:
            assert ask(proxy.address("web"), get("/")).status == 200
            count += 1
    finally:
        over.set()
        changing.join()


# ---- Podman's own API


@pytest.fixture
def podman() -> Iterator[Path]:
    """Run its service on a socket of its own; containers can be made there, and need not start."""
    if (program := shutil.which("podman")) is None:
        pytest.skip("podman is not installed")
    # It wants short paths.
    with tempfile.TemporaryDirectory(prefix="hw", ignore_cleanup_errors=True) as directory:
        yield from _podman(program, Path(directory))


def _podman(program: str, directory: Path) -> Iterator[Path]:
    socket = directory / "podman.sock"
    storage = ["--root", str(directory / "root"), "--runroot", str(directory / "run"), "--storage-driver", "vfs"]
    service = subprocess.Popen(
        [program, *storage, "system", "service", "--time=0", f"unix://{socket}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: socket.exists() or service.poll() is not None)
        if service.poll() is not None:
            pytest.skip(f"podman does not serve here: {service.communicate()[1][-200:]}")
        yield socket
    finally:
        service.terminate()
        service.communicate(timeout=PATIENCE)


def podman_api(socket: Path, method: str, path: str, body: Any = None) -> Any:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=PATIENCE) as client:
        answer = client.request(method, f"http://localhost{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


def _has_more(proxy: Proxy, before: int) -> bool:
    return bool(source(proxy).failures > before)


@pytest.mark.slow
def test_podman_s_api_is_understood(start: Start, podman: Path, tmp_path: Path) -> None:
    archive = tmp_path / "empty.tar"
    subprocess.run(["tar", "cf", str(archive), "--files-from", "/dev/null"], check=True)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(podman)), timeout=PATIENCE) as client:
        made = client.post(
            "http://localhost/images/create?fromSrc=-&repo=empty",
            content=archive.read_bytes(),
            headers={"Content-Type": "application/x-tar"},
        )
        assert made.status_code == 200, made.text
        image = json.loads(made.text.splitlines()[-1])["status"]
    proxy = start(tcp("docker:app", "127.0.0.1:1") | {"providers": {"docker": {"socket": str(podman)}}})
    assert "min_servers" in str(source(proxy).failure), "it has answered: there is no such container"
    # One that was made and does not run is no server; that it was made is an event, after which is looked again.
    for name in ("app", "app-2", "app-3"):
        before = source(proxy).failures
        labels = {"headworks.backend": "app", "headworks.port": "80"}
        podman_api(podman, "POST", f"/containers/create?name={name}", {"Image": image, "Cmd": ["x"], "Labels": labels})
        until(partial(_has_more, proxy, before))
    filters = json.dumps({"label": ["headworks.backend=app"]})
    listed = podman_api(podman, "GET", f"/containers/json?all=true&filters={filters}")
    assert sorted(one["Names"][0] for one in listed) == ["/app", "/app-2", "/app-3"]
    assert {"Labels", "State", "Status", "NetworkSettings"} <= listed[0].keys()
    assert "min_servers" in str(source(proxy).failure)
