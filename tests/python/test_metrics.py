"""Metrics: two forms that scrapers' own parsers read, names that are in the table, and numbers that are true."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

import headworks
from headworks import _engine

TABLE = {one["name"]: one for one in json.loads(_engine.metrics())}
ENDINGS = re.compile(r"_(bucket|sum|count)$")


def answer(proxy: headworks.Proxy, sent: bytes) -> bytes:
    """Send a request, and return what came until the end."""
    with socket.create_connection(proxy.address("web"), 30) as client:
        client.sendall(sent)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.fixture
def web() -> dict:
    """Give an http listener that answers by itself, and a backend whose only server is away."""
    return {
        "proxy": {"workers": 2},
        "logs": {"access": "off"},
        "listeners": {"web": {"bind": "127.0.0.1:0", "protocol": "http", "table": "sites"}},
        "tables": {"sites": {"a.test": "app", "b.test": {"respond": {"status": 204}}}},
        "backends": {"app": {"servers": [{"address": "127.0.0.1:1", "weight": 3}]}},
    }


@pytest.fixture
def proxy(web) -> Iterator[headworks.Proxy]:
    """Run it, after one request that was answered, one that found no server and one that was refused."""
    with headworks.Proxy(web) as running:
        for host in ("b.test", "a.test", "nobody.test"):
            answer(running, b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
        yield running


def samples(proxy: headworks.Proxy, **wanted) -> dict:
    """Read the metrics: values by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in prometheus(proxy.metrics(**wanted))
        for sample in family.samples
    }


def test_the_numbers_are_those_of_the_statistics(proxy):
    found = samples(proxy)
    web, app = ("listener", "web"), ("backend", "app")
    assert found["headworks_listener_connections_accepted_total", web] == 3
    assert found["headworks_listener_requests_total", web] == 3
    codes = [("code", f"{number}xx") for number in range(1, 6)]
    assert [found["headworks_listener_responses_total", code, web] for code in codes] == [0, 1, 0, 1, 1]
    ends = {key[1][1]: value for key, value in found.items() if key[0] == "headworks_listener_ends_total"}
    assert ends == {"completed": 1, "no_server": 1, "no_match": 1} == proxy.stats().listeners["web"].ends
    assert found["headworks_listener_request_duration_seconds_bucket", ("le", "+Inf"), web] == 3
    assert found["headworks_listener_request_duration_seconds_count", web] == 3
    assert found["headworks_backend_ends_total", app, ("end", "no_server")] == 1
    server = ("server", "127.0.0.1:1")
    assert found["headworks_server_connect_failures_total", app, server] >= 1
    assert found["headworks_server_weight", app, server] == 3
    assert found["headworks_backend_servers", app] == 1
    assert found["headworks_build_info", ("version", headworks.__version__)] == 1
    assert found["process_open_fds",] > 3
    assert found["process_start_time_seconds",] > 1e9


def test_what_operators_say_of_servers(proxy):
    app, server = ("backend", "app"), ("server", "127.0.0.1:1")
    assert not any(key[0] == "headworks_server_admin_state" for key in samples(proxy))
    proxy.set_server("app", "127.0.0.1:1", admin="drain")
    found = samples(proxy, scope=["server", "backend"])
    assert found["headworks_server_admin_state", app, server, ("state", "drain")] == 1
    assert found["headworks_backend_servers_usable", app] == 0


def test_reloads_are_counted(proxy, web):
    name = "headworks_config_reloads_total"
    proxy.reload(web)
    with pytest.raises(headworks.ConfigError):
        proxy.reload({"listeners": 1})
    found = samples(proxy, scope="process")
    assert (found[name, ("result", "applied")], found[name, ("result", "refused")]) == (1, 1)
    assert found["headworks_config_last_reload_successful",] == 0
    proxy.reload(web)
    found = samples(proxy, scope="process")
    assert found["headworks_config_last_reload_successful",] == 1
    # Counters of what keeps its name go on.
    assert samples(proxy)["headworks_listener_requests_total", ("listener", "web")] == 3


@pytest.mark.parametrize(("form", "parse"), [("prometheus", prometheus), ("openmetrics", openmetrics)])
def test_parsers_read_it_and_every_name_is_in_the_table(proxy, form, parse):
    text = proxy.metrics(form)
    assert text.endswith("# EOF\n") == (form == "openmetrics")
    for family in parse(text):
        assert family.samples, family.name
        for sample in family.samples:
            name = sample.name if sample.name in TABLE else ENDINGS.sub("", sample.name)
            row = TABLE[name]
            assert (family.type, family.documentation) == (row["kind"], row["help"])
            assert set(sample.labels) - {"le"} == set(row["labels"])


@pytest.mark.parametrize("scope", ["process", "listener", "backend", "server"])
def test_a_scope_has_its_metrics_only(proxy, scope):
    for name, *_ in samples(proxy, scope=scope):
        row = TABLE.get(name) or TABLE[ENDINGS.sub("", name)]
        assert row["scope"] == scope


def test_other_forms_and_scopes_are_refused(proxy):
    for wrong in ({"format": "protobuf"}, {"scope": ["servers"]}, {"scope": "x"}):
        with pytest.raises(ValueError, match="a format is one of"):
            proxy.metrics(**wrong)


def test_names_of_the_configuration_are_escaped(web):
    name = 'a"b\\c'
    web["listeners"][name] = web["listeners"].pop("web")
    try:
        running = headworks.Proxy(web)
    except headworks.ConfigError:
        pytest.skip("no listener may have such a name")
    with running:
        assert ("headworks_listener_connections_open", ("listener", name)) in samples(running)


def test_clients_cannot_add_series(proxy):
    before = set(samples(proxy))
    for number in range(50):
        sent = b"M%d /%d HTTP/1.1\r\nHost: h%d.test\r\nConnection: close\r\n\r\n" % (number, number, number)
        answer(proxy, sent)
    assert len(set(samples(proxy)) - before) <= 1


def test_promtool_has_nothing_against_it(proxy):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool: apt-get install prometheus")
    for scope in ([], ["server"]):
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=proxy.metrics(scope=scope),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_metrics_of_a_proxy_that_does_not_run(web):
    with pytest.raises(RuntimeError):
        headworks.Proxy(web).metrics()
