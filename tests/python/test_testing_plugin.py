"""The plugin in a project of its own: fixtures without an import, and the report of a test that fails."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PROJECT = '''
from headworks.testing import Answer

def config(server):
    return f"""
        [listeners.web]
        bind = ":80"
        protocol = "http"
        table = "sites"

        [tables.sites]
        "a.example" = "app"
        "*" = {{ respond = {{ status = 404 }} }}

        [backends.app]
        servers = "{server}"
    """
'''


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Give a folder of tests; pytest runs in a process of its own there."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    return pytester


def test_a_project_s_tests_use_the_fixtures(project):
    project.makepyfile(
        PROJECT
        + """
def test_routing(headworks_proxy, origin, client):
    app = origin(body="hello")
    proxy = headworks_proxy(config(app.address))
    assert client.get(proxy.address("web"), "/x", host="a.example").text == "hello"
    assert client.get(proxy.address("web"), "/x", host="b.example").status == 404
    assert [one.path for one in app.wait_for(1)] == ["/x"]

def test_retries(headworks_proxy, origin, client, faults):
    between = faults.between(origin().address)
    between.refuse()
    proxy = headworks_proxy(config(between.address))
    assert client.get(proxy.address("web"), host="a.example").status == 503
"""
    )
    ran = project.runpytest_subprocess("-W", "error", timeout=60)
    ran.assert_outcomes(passed=2)


def test_a_failing_test_shows_what_the_proxy_told(project):
    project.makepyfile(
        PROJECT
        + """
def test_routing(headworks_proxy, origin, client):
    proxy = headworks_proxy(config(origin().address))
    assert client.get(proxy.address("web"), "/x", host="b.example").status == 200

def test_passes(headworks_proxy, origin, client):
    proxy = headworks_proxy(config(origin().address))
    client.get(proxy.address("web"), "/unseen", host="a.example")
"""
    )
    ran = project.runpytest_subprocess(timeout=60)
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["*- Headworks -*", "<Proxy running, web 127.0.0.1:*", "record *path=/x status=404 *"])
    ran.stdout.no_fnmatch_line("*unseen*")


def test_a_fixture_that_fails_after_a_proxy_was_started_shows_it_too(project):
    project.makepyfile(
        PROJECT
        + """
import re
from pathlib import Path

import pytest

@pytest.fixture
def asked(headworks_proxy, origin, client):
    proxy = headworks_proxy(config(origin().address))
    assert client.get(proxy.address("web"), "/x", host="b.example").status == 200

def test_nothing(asked):
    pass
"""
    )
    ran = project.runpytest_subprocess(timeout=60)
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["record *path=/x status=404 *"])


def test_the_fixtures_are_listed_with_what_they_are_for(project):
    ran = project.runpytest_subprocess("--fixtures", timeout=60)
    ran.stdout.fnmatch_lines(["headworks_proxy*", "origin*", "client*", "faults*"])


def test_the_plugin_imports_nothing_before_a_test_needs_it(project):
    project.makepyfile(
        """
import sys

def test_nothing():
    assert not [name for name in sys.modules if name.startswith("headworks.") and "testing" not in name]
    assert "pydantic" not in sys.modules
"""
    )
    ran = project.runpytest_subprocess(timeout=60)
    ran.assert_outcomes(passed=1)


def test_the_package_has_the_entry_point():
    from importlib.metadata import entry_points

    (point,) = entry_points(group="pytest11", name="headworks")
    assert point.value == "headworks.testing.plugin"


def test_the_guide_s_tests_pass(project):
    page = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text()
    (file,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    rule, *tests = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    project.path.joinpath("headworks.toml").write_text(file)
    project.path.joinpath("tenants.py").write_text(rule)
    for number, test in enumerate(tests):
        project.path.joinpath(f"test_{number}.py").write_text(test)
    ran = project.runpytest_subprocess("--headworks-update", "-W", "error", timeout=60)
    ran.assert_outcomes(passed=7)
