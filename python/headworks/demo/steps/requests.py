"""Step: requests of one kept connection go to different servers, by host and path; some are answered by the proxy."""

from dataclasses import dataclass

from headworks.demo.browsers import Browser
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage
from headworks.explanation import explain

_WWW, _OLD, _UNKNOWN = "www.example", "old.example", "nobody.example"


@dataclass(frozen=True, kw_only=True)
class _Request:
    """Requests, and what must come back."""

    host: str
    path: str
    status: int = 200
    backend: str | None = None
    seen: str | None = None
    """The target that the server must have seen."""
    location: str | None = None


_REQUESTS = (
    _Request(host=_WWW, path="/", backend="web", seen="/"),
    _Request(host=_WWW, path="/about?lang=en", backend="web", seen="/about?lang=en"),
    _Request(host=_WWW, path="/api/users/7", backend="users", seen="/users/7"),
    _Request(host="api.example", path="/users/8", backend="users", seen="/users/8"),
    _Request(host=_OLD, path="/x", status=308, location="https://www.example/x"),
    _Request(host=_WWW, path="/robots.txt"),
    _Request(host=_UNKNOWN, path="/", status=421),
)


def run(stage: Stage) -> Result:
    """Ask all, over one connection."""
    shown = table("GET", "entry", "backend", "server", ">status", "seen by the server, or told", ">ms")
    problems: list[str] = []
    opened = stage.clients.opened["web"]
    with Browser(stage.clients) as browser:
        for one in _REQUESTS:
            row, wrong = _ask(stage, browser, one)
            shown.add_row(*row)
            problems += wrong
    opened = stage.clients.opened["web"] - opened
    problems += unless((opened == 1, f"{opened} connections were needed, not 1"))
    return Result(shown=(shown,), problems=tuple(problems))


def _ask(stage: Stage, browser: Browser, one: _Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One row, and what is wrong with it."""
    what = f"{one.host}{one.path}"
    expected = explain(stage.settings, listener="web", host=one.host, path=one.path, client="127.0.0.1")
    page = browser.get(one.host, one.path)
    location = page.fields.get("location")
    server = stage.origins.get(page.server)
    problems = unless(
        (page.status == one.status, f"{what} was answered {page.status}, not {one.status}"),
        (page.told.get("request") == one.seen, f"{what}: the server saw {page.told.get('request')}, not {one.seen}"),
        (location == one.location, f"{what} was sent to {location}, not to {one.location}"),
        (expected.backend == one.backend, f"explain says {expected.backend} of {what}, not {one.backend}"),
        (
            server is None or server.address in [known.address for known in expected.servers],
            f"{what} came to {page.server}, which is not of backend {one.backend}",
        ),
        (page.told.get("client", "127.0.0.1") == "127.0.0.1", f"{what}: the server was told of {page.told}"),
    )
    remark = page.told.get("request") or location or page.fields.get("content-type", "-")
    ms = f"{page.seconds * 1000:.1f}"
    return (what, expected.entry or "-", expected.backend or "-", page.server, str(page.status), remark, ms), problems


STEP = Step(
    name="requests",
    says=(
        "An http listener routes each request by its own host and path, also those that share a connection. Servers "
        "are told who the client is; prefixes are taken off; redirects and fixed answers need no server."
    ),
    run=run,
)
