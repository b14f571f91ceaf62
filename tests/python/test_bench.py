"""What the bench works out, without any proxy: plans, command lines, reports read, ratios, pages written."""

import importlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """Import modules of bench/ by name, as its programs do."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))

    class Modules:
        def __getattr__(self, name: str) -> ModuleType:
            return importlib.import_module(name)

    yield Modules()
    sys.path.remove(str(BENCH))
    for name in set(sys.modules) - before:
        if str(BENCH) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def sample(bench, rate=1000.0, **changed):
    plain = {
        "rate": rate,
        "total_cpu_us": 1e6 / rate,
        "proxy_cpu_us": 300.0,
        "proxy_cpu_seconds": 0.5,
        "bytes": 1 << 30,
        "seconds": 1.0,
        "latency_us": {"p50": 1.0, "p99": 2.0, "p99.9": 3.0, "max": 4.0},
        "errors": {},
        "steal": 0.0,
        "foreign": 0.0,
    }
    return bench.results.Sample(**plain | changed)


def outcome(bench, values, scenario="kept", **scenario_changes):
    row = next(row for row in bench.scenarios.SCENARIOS if row.name == scenario)
    results = []
    for label, value in values.items():
        result = bench.results.LaneResult(label=label, version=f"{label} 1.0")
        if isinstance(value, str):
            result.problem = value
        else:
            result.take([value, value * 1.5, value * 1.1])
        results.append(result)
    return bench.results.Outcome(
        scenario=row, results=results, skipped={"caddy": "does not do tcp"}, **scenario_changes
    )


def options(bench, **changed):
    plain = {
        "rounds": 5,
        "seconds": 2.0,
        "warmup": 0.3,
        "bulk_bytes": 1 << 30,
        "proxy_core": 0,
        "connections": None,
        "descriptors": 20_000,
        "late": False,
        "load_core": 1,
    }
    return bench.stage.Options(**plain | changed)


def task(bench, directory, **changed):
    plain = {
        "listen": 1,
        "origin": 2,
        "names": (),
        "bulk": False,
        "descriptors": 20_000,
        "directory": directory,
    }
    return bench.competitors.Task(**plain | changed)


def order(bench, **changed):
    plain = {
        "port": 1,
        "load": "http",
        "connections": 32,
        "seconds": 2.0,
        "warmup": 0.3,
        "total": 0,
        "rate": 0.0,
        "names_file": None,
        "request": "minimal",
        "http": True,
        "fresh": False,
        "upload": False,
        "late": False,
    }
    return bench.tools.Order(**plain | changed)


def test_every_lane_is_of_a_proxy_that_speaks_what_the_row_needs(bench):
    for row in bench.scenarios.SCENARIOS:
        for lane in row.lanes:
            competitor = bench.competitors.COMPETITORS[lane.competitor]
            protocol = row.protocol(lane)
            assert protocol in competitor.speaks, f"{row.name}: {lane.label} does not speak {protocol}"


def test_what_terminates_tls_speaks_http_behind_it(bench):
    assert all(row.http for row in bench.scenarios.SCENARIOS if row.https)
    assert all(row.https and row.fresh for row in bench.scenarios.SCENARIOS if row.resumed)


def test_rows_have_names_of_their_own_and_so_have_their_lanes(bench):
    names = [row.name for row in bench.scenarios.SCENARIOS]
    assert len(names) == len(set(names))
    for row in bench.scenarios.SCENARIOS:
        labels = [lane.label for lane in row.lanes]
        assert len(labels) == len(set(labels)), row.name


def test_targets_are_of_lanes_that_are_in_the_row(bench):
    for row in bench.scenarios.SCENARIOS:
        labels = {lane.label for lane in row.lanes}
        for target in row.targets:
            assert {target.subject, target.against} <= labels, row.name


def certified(bench, directory):
    names = {"certificate": "certificate.pem", "key": "key.pem", "both": "both.pem"}
    return bench.stage.certificates.Certificate(**{kind: directory / name for kind, name in names.items()})


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes them")
def test_a_run_has_one_certificate_and_its_key(bench):
    made = bench.stage.certificates.made()
    assert bench.stage.certificates.made() == made
    command = ["openssl", "x509", "-noout", "-text", "-in", str(made.certificate)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "prime256v1" in said
    assert f"DNS:{bench.stage.certificates.NAME}" in said
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.both)


EVERYTHING = [
    (name, kind)
    for name in ("headworks", "haproxy", "haproxy-splice-1m", "nginx", "envoy", "traefik")
    for kind in ("tcp", "tls", "http", "https")
]
OTHERS = [("sniproxy", "tls"), ("caddy", "http"), ("caddy", "https"), ("nginx-mainline", "https")]
OWN_CODE = [
    (name, "http")
    for name in ("headworks-async", "headworks-busy-5ms", "haproxy-lua", "nginx-js", "envoy-ext-proc", "mitmproxy")
]


@pytest.mark.parametrize(("name", "kind"), [*EVERYTHING, *OTHERS, *OWN_CODE])
def test_a_configuration_names_both_ends_and_every_name(bench, tmp_path, name, kind):
    competitor = bench.competitors.COMPETITORS[name]
    assert kind in competitor.speaks
    names = ("one.example", "two.example") if kind == "tls" else ()
    certificate = certified(bench, tmp_path / "tls") if kind == "https" else None
    work = task(
        bench,
        tmp_path,
        listen=40_001,
        origin=40_002,
        names=names,
        http=kind in ("http", "https"),
        certificate=certificate,
    )
    assert work.protocol == kind
    line = competitor.arguments(Path("/bin/true"), work)
    written = "\n".join([*line, *(file.read_text() for file in tmp_path.iterdir())])
    if certificate is not None:
        used = certificate.both if name.startswith("haproxy") else certificate.key
        assert str(used) in written
    assert "40001" in written
    assert "40002" in written
    assert all(each in written for each in names)


def test_every_proxy_that_answers_by_itself_does_so_after_the_own_code(bench, tmp_path):
    rows = [row for row in bench.scenarios.SCENARIOS if row.answers]
    for name in {lane.competitor for row in rows for lane in row.lanes}:
        directory = tmp_path / name
        directory.mkdir()
        work = task(bench, directory, http=True, answers=True)
        bench.competitors.COMPETITORS[name].arguments(Path("/bin/true"), work)
        written = "\n".join(file.read_text() for file in directory.iterdir())
        assert sys.modules["proxies.base"].ANSWER in written, name
        if name == "haproxy-lua":
            assert written.index("http-request lua.bench") < written.index("http-request return")
        if name == "nginx-js":
            assert written.index("if ($refused)") < written.index("return 200")


def test_the_analyzers_and_rules_of_the_bench_are_right(bench, tmp_path):
    for name in ("headworks-rule", "headworks-analyzer", "headworks-async", "headworks-busy", "headworks-busy-5ms"):
        directory = tmp_path / name
        directory.mkdir()
        work = task(bench, directory, http=True, answers=True)
        line = bench.competitors.COMPETITORS[name].arguments(Path("/bin/true"), work)
        command = [sys.executable, "-m", "headworks", "check", line[-1]]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("program", ["ext_proc_server.py", "mitmproxy_addon.py"])
def test_programs_for_other_interpreters_can_be_read(program):
    source = (BENCH / "proxies" / "programs" / program).read_text()
    assert compile(source, program, "exec")


@pytest.mark.parametrize("name", ["envoy", "traefik"])
def test_a_watched_file_is_replaced_by_a_reload(bench, tmp_path, name):
    competitor = bench.competitors.COMPETITORS[name]
    work = task(bench, tmp_path, origin=40_002, reloads=True)
    competitor.arguments(Path("/bin/true"), work)
    watched = {"envoy": "clusters.json", "traefik": "routers.yaml"}[name]
    inode = (tmp_path / watched).stat().st_ino
    competitor.reload(Path("/bin/true"), task(bench, tmp_path, origin=40_003, reloads=True), 0)
    assert "40003" in (tmp_path / watched).read_text()
    assert (tmp_path / watched).stat().st_ino != inode, "written in place: a watcher may see half of it"


@pytest.mark.parametrize(("variable", "name"), [("HAPROXY", "haproxy"), ("NGINX_MAINLINE", "nginx-mainline")])
def test_an_environment_variable_chooses_the_program(bench, monkeypatch, tmp_path, variable, name):
    program = tmp_path / "newer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv(variable, str(program))
    assert bench.competitors.COMPETITORS[name].find() == program
    monkeypatch.setenv(variable, str(tmp_path / "none"))
    with pytest.raises(SystemExit, match="no such program"):
        bench.competitors.COMPETITORS[name].find()


def test_what_is_added_is_the_best_round_less_the_best_direct_one(bench):
    row = bench.scenarios.KEPT
    result = bench.results.LaneResult(label="x", version="", samples=[sample(bench, 500.0), sample(bench, 400.0)])
    bench.rounds.conclude(row, result, [sample(bench, 1000.0), sample(bench, 800.0)])
    assert result.value == pytest.approx(1000.0)
    assert result.low == pytest.approx(1000.0)
    assert result.high == pytest.approx(1500.0)


def test_on_two_cores_it_is_the_proxys_own_time(bench):
    row = bench.scenarios.two_cores(bench.scenarios.KEPT)
    samples = [sample(bench, proxy_cpu_us=9.0), sample(bench, proxy_cpu_us=7.0), sample(bench, proxy_cpu_us=8.0)]
    result = bench.results.LaneResult(label="x", version="", samples=samples)
    bench.rounds.conclude(row, result, [sample(bench)])
    assert (result.value, result.median, result.high) == (7.0, 8.0, 9.0)


def test_on_one_core_behind_tls_it_is_the_proxys_own_time_too(bench):
    row = bench.scenarios.HTTPS_KEPT
    assert bench.rounds.directs_of(row, list(row.lanes)) == []
    samples = [sample(bench, proxy_cpu_us=50.0, total_cpu_us=90.0), sample(bench, proxy_cpu_us=40.0)]
    result = bench.results.LaneResult(label="x", version="", samples=samples)
    bench.rounds.conclude(row, result, [])
    assert (result.value, result.high) == (40.0, 50.0)
    assert result.extra["per CPU second"] == 25_000
    assert result.extra["CPU of all µs"] == 90.0


def test_an_error_in_any_round_makes_a_lane_invalid(bench):
    row = bench.scenarios.KEPT
    samples = [sample(bench), sample(bench, errors={"receive: reset": 3})]
    result = bench.results.LaneResult(label="x", version="", samples=samples)
    bench.rounds.conclude(row, result, [sample(bench)])
    assert not result.valid
    assert "3 x receive: reset" in result.problem


def test_a_proxy_that_seems_to_cost_nothing_is_noise(bench):
    result = bench.results.LaneResult(label="x", version="", samples=[sample(bench, 1000.0)])
    bench.rounds.conclude(bench.scenarios.KEPT, result, [sample(bench, 900.0)])
    assert not result.valid
    assert "noise" in result.problem


def consulted(bench, name="python-consulted", **samples):
    row = next(row for row in bench.scenarios.SCENARIOS if row.name == name)
    results = {
        label: bench.results.LaneResult(label=label, version="", samples=some) for label, some in samples.items()
    }
    lanes = {lane.label: lane for lane in row.lanes}
    for label in results:
        bench.consulting.conclude(row, lanes[label], results)
    return results


def asked(bench, whole, worker, **changed):
    """Return a sample with so much CPU in all, and of the worker."""
    threads = {"headworks-0": worker, "headworks": whole - worker}
    return sample(bench, proxy_cpu_us=whole, threads_us=threads, **changed)


def test_a_consultation_costs_what_the_same_listener_does_without_it(bench):
    base = [asked(bench, 9.0, 8.0), asked(bench, 10.0, 9.9)]
    found = consulted(
        bench, **{"headworks": base, "headworks-analyzer": [asked(bench, 15.0, 12.0), asked(bench, 14.0, 10.0)]}
    )
    result = found["headworks-analyzer"]
    assert (result.value, result.low, result.high) == (5.0, 5.0, 6.0)
    assert (result.extra["worker µs"], result.extra["Python µs"]) == (2.0, 3.0)
    assert result.extra["most a second"] == pytest.approx(1e6 / 3.0)
    assert found["headworks"].valid
    assert found["headworks"].value == 0.0


def test_a_consultation_waits_for_what_is_added_to_the_base(bench):
    times = [{"p50": p50, "p99": p99} for p50, p99 in ((20.0, 50.0), (70.0, 190.0), (65.0, 200.0))]
    base, *more = (sample(bench, latency_us=each) for each in times)
    found = consulted(bench, "python-alone", **{"headworks": [base], "headworks-analyzer": more})
    assert found["headworks-analyzer"].value == 140.0
    assert found["headworks-analyzer"].extra["added p50 µs"] == 45.0


@pytest.mark.parametrize("errors", [{"receive: reset": 1}, {}])
def test_without_its_base_or_with_less_than_it_a_lane_has_no_number(bench, errors):
    base = asked(bench, 20.0, 9.0, errors=errors)
    found = consulted(bench, **{"headworks": [base], "headworks-analyzer": [asked(bench, 15.0, 12.0)]})
    assert not found["headworks-analyzer"].valid
    assert ("reset" if errors else "noise") in found["headworks-analyzer"].problem
    alone = consulted(bench, **{"headworks-analyzer": [asked(bench, 15.0, 12.0)]})
    assert "headworks did not run" in alone["headworks-analyzer"].problem


def test_a_base_is_a_lane_of_the_same_row(bench):
    for row in bench.scenarios.SCENARIOS:
        labels = {lane.label for lane in row.lanes}
        assert {lane.base for lane in row.lanes if lane.base} <= labels, row.name
        assert {bound.subject for bound in row.bounds} <= labels, row.name


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [({"most": 20.0}, "ok"), ({"most": 9.0}, "miss"), ({"least": 9.0}, "ok"), ({"least": 11.0}, "miss")],
)
def test_a_bound_is_of_a_figure(bench, changed, verdict):
    found = outcome(bench, {"headworks": 10.0})
    assert bench.report.held(found, bench.scenarios.Bound(subject="headworks", **changed))["verdict"] == verdict
    found.results[0].extra["rate"] = 10.0
    bound = bench.scenarios.Bound(subject="headworks", figure="rate", **changed)
    assert bench.report.held(found, bound)["verdict"] == verdict
    unknown = bench.scenarios.Bound(subject="headworks", figure="none", **changed)
    assert bench.report.held(found, unknown)["verdict"] == "not measured"


def test_ratios_are_to_headworks_and_invalid_lanes_have_none(bench):
    found = outcome(bench, {"direct": 0.0, "headworks": 10.0, "nginx": 25.0, "haproxy": "2 x reset"})
    rows = bench.report.result_rows(found)
    assert {row[0]: row[1] for row in rows[1:]} == {"direct": "", "headworks": "1.00", "nginx": "2.50"}
    said = bench.report.markdown([found], options(bench))
    assert "haproxy: **invalid**: 2 x reset" in said
    assert "caddy: skipped, does not do tcp" in said


@pytest.mark.parametrize(("cost", "verdict"), [(20.0, "ok"), (9.0, "miss")])
def test_a_target_is_the_most_that_headworks_may_cost(bench, cost, verdict):
    found = outcome(bench, {"headworks": 10.0, "nginx": cost})
    target = bench.scenarios.Target(against="nginx", ratio=1.0)
    assert bench.report.judged(found, target)["verdict"] == verdict


def test_the_seconds_of_a_run_follow_from_what_it_should_take(bench):
    generator = bench.generator.Generator(binary=Path("/bin/true"), core=0)
    rows = [(row, list(row.lanes)) for row in bench.scenarios.SCENARIOS]
    fitted = bench.measure.fit(generator, options(bench), rows, 2700.0)
    whole = bench.measure.Bench(generator, fitted, lambda _label, _seconds: None)
    assert sum(whole.seconds(row, lanes) for row, lanes in rows) <= 2700.0
    assert fitted.seconds > 0.5
    alone = bench.measure.fit(generator, options(bench), rows[:1], 2700.0)
    assert alone.seconds == bench.measure.LONGEST


def test_wrk_sends_as_many_requests_in_one_go_as_are_ordered(bench):
    assert "string.rep(wrk.format(), 16)" in bench.tools.wrk_script(order(bench, depth=16))
    assert "string.rep" not in bench.tools.wrk_script(order(bench))


def test_threads_have_their_cpu_by_name(bench):
    found = bench.processes.cpu_by_thread([bench.processes.os.getpid()])
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel counts by ticks alone")
    assert sum(found.values()) > 0
    assert bench.consulting.WORKER.fullmatch("headworks-0")
    assert not bench.consulting.WORKER.fullmatch("headworks-health")


def test_options_of_our_own_generator(bench):
    said = bench.tools.load_options(order(bench, rate=999.6, fresh=True, request="browser"))
    assert "--rate 1000" in " ".join(said)
    assert "--fresh 1" in " ".join(said)
    assert "--request browser" in " ".join(said)
    assert "--bytes 5" in " ".join(bench.tools.load_options(order(bench, load="bulk-up", http=False, total=5)))


def test_options_of_our_own_generator_over_tls(bench):
    secured = order(bench, certificate=Path("/c.pem"), resumed=True, fresh=True)
    assert "--tls /c.pem --request minimal --fresh 1 --resumed 1" in " ".join(bench.tools.load_options(secured))
    held = bench.tools.hold_options(order(bench, certificate=Path("/c.pem"), load="http-idle"), 7)
    assert " ".join(held) == "--scenario http-idle --connections 7 --tls /c.pem"
    download = order(bench, certificate=Path("/c.pem"), connections=2, total=600)
    assert "--tls /c.pem --path /bytes/300 --requests 2" in " ".join(bench.tools.load_options(download))


ANNOUNCES = """#!/bin/sh
case "$*" in *"--announce 1") echo ready; read begin; esac
echo "$begin" > {seen}
echo '{{"operations": 3, "errors": {{}}, "handshakes": {{"full": 0, "resumed": 3}}}}'
"""


def test_a_generator_that_prepares_begins_when_it_is_told(bench, tmp_path):
    program, seen = tmp_path / "load", tmp_path / "seen"
    program.write_text(ANNOUNCES.format(seen=seen))
    program.chmod(0o755)
    load = bench.generator.Generator(binary=program, core=0)
    begun = []
    report = load.run(1, [], patience=10, begins=lambda: begun.append(seen.exists()))
    assert begun == [False]
    assert (report.operations, report.handshakes) == (3, {"full": 0, "resumed": 3})
    assert load.run(1, [], patience=10).operations == 3


def test_a_generator_that_cannot_prepare_says_why(bench, tmp_path):
    program = tmp_path / "load"
    program.write_text('#!/bin/sh\necho \'{"operations": 0, "errors": {"visit: tls": 1}}\'\n')
    program.chmod(0o755)
    load = bench.generator.Generator(binary=program, core=0)
    begun = []
    assert load.run(1, [], patience=10, begins=lambda: begun.append(1)).errors == {"visit: tls": 1}
    assert begun == []


def test_a_browsers_request_is_of_the_size_that_is_promised(bench):
    head = "GET / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in bench.tools.BROWSER.items())
    assert len(bench.tools.BROWSER) == 12
    assert 550 <= len(head) + 2 <= 650


def test_wrks_report(bench):
    said = {"requests": 100, "us": 500_000, "bytes": 9, "connect": 0, "read": 2, "write": 0, "status": 0, "timeout": 0}
    said |= {"p50": 1.0, "p99": 2.0, "p99.9": 3.0, "max": 4.0}
    report = bench.tools.wrk_report(f"Running 1s test\n{json.dumps(said)}\n", 0.25)
    assert report.rate == 200.0
    assert report.errors == {"wrk: read": 2}
    assert report.cpu_seconds == 0.25
    assert bench.tools.wrk_report("unable to connect", 0.0).errors


H2LOAD = """
finished in 250.00ms, 400.00 req/s, 39.06MB/s
requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 9.77MB (10250000) total, 11.72KB (12000) headers (space savings 0.00%), 9.76MB (10240000) data
"""


def test_h2loads_report(bench):
    report = bench.tools.h2load_report(H2LOAD, 0.1, requests=100, body=102_400)
    assert report.errors == {}
    assert (report.operations, report.seconds, report.rate) == (100, 0.25, 400.0)
    short = bench.tools.h2load_report(H2LOAD, 0.1, requests=100, body=102_401)
    assert short.errors == {"h2load: short answers": 1}
    fewer = bench.tools.h2load_report(H2LOAD, 0.1, requests=101, body=0)
    assert fewer.errors == {"h2load: no success": 1}
    assert bench.tools.h2load_report("connect() failed", 0.1, requests=1, body=0).errors


def answering(answer, count):
    """Listen, answer `count` connections once each and keep them; return the listener and what was kept."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve():
        for _ in range(count):
            client, _ = listener.accept()
            client.recv(4096)
            client.sendall(answer)
            kept.append(client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listener, kept, thread


def test_kept_connections_are_held_and_an_end_is_noticed(bench):
    listener, served, thread = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 3)
    with listener, bench.clients.kept(listener.getsockname()[1], 3) as wrong:
        thread.join()
        assert wrong() == {}
        served[1].close()
        while not wrong():
            pass
        assert wrong() == {"idle connection closed": 1}
        for client in served:
            client.close()


def test_an_answer_that_is_no_success_is_an_error(bench):
    listener, served, thread = answering(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 2)
    with listener, bench.clients.kept(listener.getsockname()[1], 2) as wrong:
        thread.join()
        assert wrong()["no answer"] == 2
        for client in served:
            client.close()


def saved_run(bench):
    first = outcome(bench, {"direct": 0.0, "headworks": 10.0, "nginx": 25.0, "haproxy": 8.0, "floor": 7.0})
    second = outcome(bench, {"headworks": 500.0, "sniproxy": 9000.0}, scenario="idle")
    return json.loads(json.dumps(bench.report.content([first, second], options(bench))))


def test_a_published_page_says_where_others_are_ahead(bench):
    saved = saved_run(bench)
    assert bench.publish.losses(saved) == ["`kept`: haproxy takes 0.80 of what Headworks does"]
    said = bench.publish.results(saved, ["tcp-cost.svg"])
    assert "haproxy takes 0.80" in said
    assert "nginx 1.0" in said
    assert "performance/tcp-cost.svg" in said
    assert "18.00" in said


def test_only_the_part_between_the_markers_is_written_anew(bench):
    publish = bench.publish
    page = f"# Before\n\n{publish.BEGIN}\nold\n{publish.END}\n\n## After\n"
    once = publish.renewed(page, "new")
    assert once == f"# Before\n\n{publish.BEGIN}\n\nnew\n\n{publish.END}\n\n## After\n"
    assert publish.renewed(once, "new") == once
    with pytest.raises(ValueError, match="needs the lines"):
        publish.renewed("# No markers\n", "new")


def test_what_has_peoples_own_code_is_published_apart(bench):
    publish = bench.publish
    first = outcome(bench, {"headworks": 10.0, "nginx": 25.0})
    second = outcome(bench, {"headworks-analyzer": 10.0, "haproxy-lua": 5.0}, scenario="python-consulted")
    saved = json.loads(json.dumps(bench.report.content([first, second], options(bench))))
    own, rest = publish.part(saved, python=True), publish.part(saved, python=False)
    assert (list(own["scenarios"]), list(rest["scenarios"])) == (["python-consulted"], ["kept"])
    assert own["versions"] == ["headworks-analyzer: headworks-analyzer 1.0", "haproxy-lua: haproxy-lua 1.0"]
    said = publish.results(own, [])
    assert "headworks-analyzer, CPU µs each: 10.0, at most 5.0" in said
    assert "haproxy-lua takes 0.50" in said
    page = f"{publish.BEGIN}\nold\n{publish.END}\n{publish.PYTHON_BEGIN}\nold\n{publish.PYTHON_END}\n"
    assert publish.renewed(page, "new", python=True) == (
        f"{publish.BEGIN}\nold\n{publish.END}\n{publish.PYTHON_BEGIN}\n\nnew\n\n{publish.PYTHON_END}\n"
    )


def test_a_chart_of_reloads_names_what_failed(bench, tmp_path):
    pytest.importorskip("matplotlib")
    found = outcome(bench, {"headworks": 2000.0, "nginx": 30_000.0}, scenario="reload")
    for failed, result in enumerate(found.results):
        result.extra["failed"] = failed
    saved = json.loads(json.dumps(bench.report.content([found], options(bench))))
    drawn = bench.charts.draw(saved, tmp_path)
    assert [path.name for path in drawn] == ["reload.svg"]
    assert "30.0 ms, 1 failed" in drawn[0].read_text()


def test_https_has_a_chart_and_a_table_of_its_own(bench, tmp_path):
    pytest.importorskip("matplotlib")
    rows = ("https-handshake", "https-download", "https-idle")
    found = [outcome(bench, {"headworks": 20.0, "nginx": 30.0}, scenario=row) for row in rows]
    saved = json.loads(json.dumps(bench.report.content(found, options(bench))))
    drawn = [path.name for path in bench.charts.draw(saved, tmp_path)]
    assert drawn == ["https-cost.svg", "bulk-cost.svg", "memory.svg"]
    said = bench.publish.results(saved, drawn)
    assert "### `https-handshake`" in said
    assert "per CPU second" in said
    assert "`https-handshake`" not in bench.publish.losses(saved)
    targets = {(row[0], row[2]): row[-1] for row in bench.report.target_rows(found)[1:]}
    assert targets["https-handshake", "nginx"] == "ok"


def test_the_page_has_the_markers(bench):
    page = (BENCH.parent / "docs" / "performance.md").read_text()
    assert bench.publish.BEGIN in page
    assert bench.publish.END in page
    assert bench.publish.PYTHON_BEGIN in page
    assert bench.publish.PYTHON_END in page


def test_charts_are_drawn_the_same_from_the_same_run(bench, tmp_path):
    pytest.importorskip("matplotlib")
    saved = saved_run(bench)
    drawn = bench.charts.draw(saved, tmp_path / "one")
    assert [path.name for path in drawn] == ["tcp-cost.svg", "memory.svg"]
    bench.charts.draw(saved, tmp_path / "two")
    assert drawn[0].read_text() == (tmp_path / "two" / drawn[0].name).read_text()
    assert "haproxy 0.80" in drawn[0].read_text()


def test_every_method_has_its_words(bench):
    methods = {row.method for row in bench.scenarios.SCENARIOS}
    assert methods <= set(bench.report.METHODS)
    assert methods <= set(bench.report.VALUE_TITLES)
    assert methods - {"skew"} <= set(bench.publish.BESIDE)
