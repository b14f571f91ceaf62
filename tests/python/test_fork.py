"""A forked copy of a running proxy is inert: it warns once, never panics and leaves what the parent serves alone."""

import gc
import json
import os
import traceback
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

import headworks
from rig.clients import answer


def forked(told: Path, does: Callable[[], object]) -> object:
    """Run ``does`` in a forked process, which ends as any program does; return what it returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads: that is what is tested
        child = os.fork()
    if child == 0:
        # The file takes what Rust says as well.
        errors = os.open(told.with_suffix(".err"), os.O_WRONLY | os.O_CREAT)
        os.dup2(errors, 2)
        code = 1
        try:
            told.write_text(json.dumps(does()))
            code = 0
        except BaseException:  # noqa: BLE001  (nothing of the child may go on in the test)
            os.write(errors, traceback.format_exc().encode())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    said = told.with_suffix(".err").read_text()
    assert os.waitstatus_to_exitcode(status) == 0, said
    assert "panicked" not in said
    return json.loads(told.read_text())


def warned(does: Callable[[], object]) -> list[str]:
    """Return the warnings of ``does``."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        does()
    return [str(one.message) for one in caught]


def test_stopping_a_forked_copy_warns_once_and_does_nothing(raw, tmp_path):
    with headworks.Proxy(raw) as proxy:
        said = forked(tmp_path / "told", lambda: warned(lambda: [proxy.stop(), proxy.stop()]))
        assert said == ["this proxy runs in the process that this one was forked from: stopping this copy does nothing"]
        assert answer(proxy.address("raw"), b"parent") == b"parent"


def test_leaving_with_in_a_forked_copy_does_nothing(raw, tmp_path):
    with headworks.Proxy(raw) as proxy:
        said = forked(tmp_path / "told", lambda: warned(lambda: proxy.__exit__(None, None, None)))
        assert len(said) == 1
        assert answer(proxy.address("raw"), b"parent") == b"parent"


def test_a_forked_copy_can_be_collected(raw, tmp_path):
    proxy = headworks.Proxy(raw)
    proxy.start()

    def collect() -> bool:
        # The last references: the native engine is dropped here.
        engine, proxy._engine = weakref.ref(proxy._notices), None
        proxy._notices = proxy._records = None
        gc.collect()
        return engine() is None

    try:
        assert forked(tmp_path / "told", collect) is True
        assert answer(proxy.address("raw"), b"parent") == b"parent"
    finally:
        proxy.stop()


def refusals(calls: dict[str, Callable[[], object]]) -> dict[str, str]:
    """Return how each call is refused; calls that are not are left out."""
    found = {}
    for name, call in calls.items():
        try:
            call()
        except RuntimeError as error:
            found[name] = str(error)
    return found


_METRICS = json.dumps(
    {
        "format": "prometheus",
        "scopes": [],
        "version": "1",
        "reloads_applied": 0,
        "reloads_refused": 0,
        "last_reload_successful": True,
        "applied_at": 0,
    }
)
_SERVER = '{"address": "127.0.0.1:1", "weight": 1, "backup": false, "max_connections": null}'


def test_everything_else_is_refused_in_a_forked_copy(raw, tmp_path, origin):
    with headworks.Proxy(raw) as proxy:
        calls = {
            "start": proxy.start,
            "reload": lambda: proxy.reload(raw),
            "address": lambda: proxy.address("raw"),
            "stats": proxy.stats,
            "connections": proxy.connections,
            "close_connections": lambda: proxy.close_connections([1]),
            "refusals": proxy.refusals,
            "metrics": proxy.metrics,
            "set_server": lambda: proxy.set_server("app", origin, weight=2),
            "add_server": lambda: proxy.add_server("app", "127.0.0.1:1"),
            "remove_server": lambda: proxy.remove_server("app", origin),
            "set_servers": lambda: proxy.set_servers("app", "x", []),
            "reopen_logs": proxy.reopen_logs,
            "drain": lambda: proxy.drain(0),
        }
        refused = forked(tmp_path / "told", lambda: refusals(calls))
        assert refused == dict.fromkeys(calls, "this proxy runs in the process that this one was forked from")
        assert "another process" in forked(tmp_path / "told", lambda: repr(proxy))
        assert answer(proxy.address("raw"), b"parent") == b"parent"


def test_every_native_method_is_refused_in_a_forked_copy(raw, tmp_path):
    with headworks.Proxy(raw) as proxy:
        engine, plan = proxy._running(), proxy._loaded.compiled
        calls = {
            "apply": lambda: engine.apply(plan),
            "addresses": engine.addresses,
            "stats": engine.stats,
            "connections": lambda: engine.connections(1),
            "close": lambda: engine.close([1]),
            "refusals": engine.refusals,
            "metrics": lambda: engine.metrics(_METRICS),
            "next_notice": lambda: engine.next_notice(0),
            "tap_records": lambda: engine.tap_records(True),
            "next_records": lambda: engine.next_records(0),
            "set_server": lambda: engine.set_server("app", "x", None, None),
            "add_server": lambda: engine.add_server("app", _SERVER),
            "remove_server": lambda: engine.remove_server("app", "127.0.0.1:1"),
            "set_servers": lambda: engine.set_servers("app", "x", "[]"),
            "analyzer": lambda: engine.analyzer("x"),
            "reopen_logs": engine.reopen_logs,
            "drain": engine.drain,
            "wait_idle": lambda: engine.wait_idle(0),
            "stop": engine.stop,
        }
        assert calls.keys() == {name for name in dir(engine) if not name.startswith("_")}
        refused = forked(tmp_path / "told", lambda: refusals(calls))
        assert refused.keys() == calls.keys() - {"stop"}
        assert answer(proxy.address("raw"), b"parent") == b"parent"


def test_iterations_end_in_a_forked_copy(raw, tmp_path):
    with headworks.Proxy(raw) as proxy:
        begun = proxy.notices()
        with begun._feed._lock:  # as a thread of the parent may hold it
            found = forked(tmp_path / "told", lambda: [list(begun), list(proxy.notices()), list(proxy.records())])
        assert found == [[], [], []]


def test_a_forked_process_may_have_a_proxy_of_its_own(raw, tmp_path):
    def own() -> str:
        with headworks.Proxy(raw) as other:
            return answer(other.address("raw"), b"child").decode()

    with headworks.Proxy(raw) as proxy:
        assert forked(tmp_path / "told", own) == "child"
        assert answer(proxy.address("raw"), b"parent") == b"parent"
