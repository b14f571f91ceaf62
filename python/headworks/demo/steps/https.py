"""Step: the same requests over TLS that ends here, and the way there from plain HTTP."""

import http.client
from urllib.parse import urlsplit

from headworks.demo.browsers import Browser, Page
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage

_HOST = "www.example"
_PATHS = ("/", "/api/users/7", "/robots.txt")
_PERMANENT = http.client.PERMANENT_REDIRECT


def run(stage: Stage) -> Result:
    """Ask in the clear, follow, then ask more over the same connection."""
    shown = table("GET", "server", ">status", "told", ">ms")
    problems: list[str] = []
    with Browser(stage.clients, "plain") as plain, Browser(stage.clients, "site", secure=True) as browser:
        moved = plain.get(_HOST, _PATHS[0])
        location = moved.fields.get("location", "")
        shown.add_row(f"http://{_HOST}{_PATHS[0]}", "-", str(moved.status), location, f"{moved.seconds * 1000:.1f}")
        problems += unless(
            (moved.status == _PERMANENT, f"plain HTTP was answered {moved.status}, not {_PERMANENT}"),
            (location == f"https://{_HOST}/", f"it was sent to {location}"),
        )
        for path in (urlsplit(location).path, *_PATHS[1:]):
            page = browser.get(_HOST, path)
            scheme = page.told.get("scheme", "-")
            shown.add_row(f"https://{_HOST}{path}", page.server, str(page.status), scheme, f"{page.seconds * 1000:.1f}")
            problems += _wrong(path, page)
        tls = browser.tls
    remark = (
        f"One connection: {tls.version}, {tls.cipher}, certificate by {tls.issuer}, verified. "
        f"The authority's own is in {stage.throwaway_file.name}, for other clients to trust."
    )
    return Result(shown=(shown, remark), problems=tuple(problems))


def _wrong(path: str, page: Page) -> tuple[str, ...]:
    return unless(
        (page.status == http.client.OK, f"{path} was answered {page.status}"),
        (page.told.get("scheme", "https") == "https", f"{path}: the server was told {page.told.get('scheme')}"),
    )


STEP = Step(
    name="https",
    says=(
        "An https listener is an http listener behind TLS: the same table leads to the same servers, which are told "
        "that the client came by https. Here an authority was made in memory (self_signed = true); plain HTTP is "
        "redirected."
    ),
    run=run,
)
