"""Step: a client that asks too often is told when to come again, and no server hears of it."""

from headworks.demo.browsers import Browser
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage

_OK, _TOO_MANY = 200, 429
_MORE = 3
"""Requests beyond the limit."""


def run(stage: Stage) -> Result:
    """Ask more often than is allowed."""
    limit = stage.settings["listeners"]["limited"]["rate_limit"]["requests"]
    with Browser(stage.clients, "limited") as browser:
        pages = [browser.get("www.example", "/") for _ in range(limit + _MORE)]
    shown = table("request", ">status", "server", "Retry-After")
    for number, page in enumerate(pages, 1):
        shown.add_row(str(number), str(page.status), page.server, page.fields.get("retry-after", "-"))
    refused = [page for page in pages if page.status == _TOO_MANY]
    return Result(
        shown=(shown,),
        problems=unless(
            ([page.status for page in pages[:limit]] == [_OK] * limit, f"not {limit} requests were answered"),
            (len(refused) == _MORE, f"{len(refused)} requests were refused, not {_MORE}"),
            (all("retry-after" in page.fields for page in refused), "a refused client is not told when to come again"),
        ),
    )


STEP = Step(
    name="rate",
    says="This listener lets each client make five requests in 10 seconds; more get 429, with the time to wait.",
    run=run,
)
