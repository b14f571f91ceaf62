"""The plugin of pytest: the fixtures ``headworks_proxy``, ``origin``, ``client``, ``faults``, and updating snapshots.

Owns what a test made with them, and ends it afterwards; a failing test shows what its proxies told. Must never import
more than it needs: pytest loads it in every run, whether or not a test uses it.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from headworks.testing.clients import Client
    from headworks.testing.faults import Faults
    from headworks.testing.origins import Origins
    from headworks.testing.proxies import Proxies

_PROXIES = pytest.StashKey["Proxies"]()
"""The proxies of a test, for its report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes snapshots."""
    group = parser.getgroup("headworks")
    group.addoption("--headworks-update", action="store_true", help="Write the snapshots of decisions anew.")


def pytest_configure(config: pytest.Config) -> None:
    """Have snapshots written when that is asked for."""
    if config.getoption("--headworks-update"):
        from headworks.testing import snapshots

        snapshots.is_updating = True


@pytest.fixture
def headworks_proxy(request: pytest.FixtureRequest) -> "Iterator[Proxies]":
    """Start proxies: ``headworks_proxy(config)``, a path, TOML text, a Config or a mapping, on free ports of loopback.

    Returns a running ``headworks.Proxy`` with ``recorded(count)`` and ``noticed(kind)`` besides. It is stopped when the
    test ends. Raises ConfigError with every problem, BindError, OSError.
    """
    from headworks.testing.proxies import Proxies

    proxies = Proxies()
    request.node.stash[_PROXIES] = proxies
    yield proxies
    proxies.close()


@pytest.fixture
def origin() -> "Iterator[Origins]":
    """Start servers that answer by a script: ``origin(body="hello")``, ``origin(Answer(status=503), Answer())``.

    Each has an ``address`` for ``servers`` of a backend, ``requests`` and ``wait_for(count)``.
    """
    from headworks.testing.origins import Origins

    origins = Origins()
    yield origins
    origins.close()


@pytest.fixture
def client() -> "Iterator[Client]":
    """Send requests, raw bytes and more: ``client.get(proxy.address("web"), "/", host="a.example")``."""
    from headworks.testing.clients import Client

    one = Client(absent=pytest.skip)
    yield one
    one.close()


@pytest.fixture
def faults() -> "Iterator[Faults]":
    """Put faults between a proxy and its server: ``faults.between(server.address).cut_after(100)``."""
    from headworks.testing.faults import Faults

    every = Faults()
    yield every
    every.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the proxies of a failing test told."""
    report = yield
    proxies = item.stash.get(_PROXIES, None)
    if proxies is not None and report.failed and call.when != "teardown":
        report.sections += [("Headworks", one.report()) for one in proxies.made]
    return report
