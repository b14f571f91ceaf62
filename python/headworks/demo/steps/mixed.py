"""Step: one port where the TLS of some names ends, and that of others goes on to their servers untouched."""

from headworks.demo.browsers import Browser
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage
from headworks.explanation import explain

_OURS, _THEIRS = "www.example", "shop.example"


def run(stage: Stage) -> Result:
    """Ask for a name of each kind on the same port."""
    with Browser(stage.clients, "site", secure=True) as browser:
        page, tls = browser.get(_OURS, "/"), browser.tls
    answer = stage.clients.ask(_THEIRS, "site")
    origin = stage.tls_origin(answer.server)
    ours, theirs = _fate(stage, _OURS), _fate(stage, _THEIRS)
    shown = table("name", "TLS", "server", "certificate", ">ms")
    shown.add_row(_OURS, ours, page.server, f"the proxy's, by {tls.issuer}", f"{page.seconds * 1000:.1f}")
    shown.add_row(_THEIRS, theirs, answer.server, f"the server's own, {origin.host}", f"{answer.seconds * 1000:.1f}")
    return Result(
        shown=(shown,),
        problems=unless(
            (page.server.startswith("web-"), f"{_OURS} came to {page.server}"),
            (answer.server == "shop-1", f"{_THEIRS} came to {answer.server}"),
            (origin.fingerprint == answer.fingerprint, f"{_THEIRS}: not the certificate of {answer.server}"),
            (tls.fingerprint != answer.fingerprint, "both names were shown the same certificate"),
            (ours == "terminated", f"explain says {ours} of {_OURS}"),
            (theirs == "passed_through", f"explain says {theirs} of {_THEIRS}"),
        ),
    )


def _fate(stage: Stage, name: str) -> str | None:
    return explain(stage.settings, listener="site", sni=name, host=name, client="127.0.0.1").tls


STEP = Step(
    name="mixed",
    says=(
        "One port for both: the name in the first bytes decides whether TLS ends here, or is passed on untouched to a "
        "server that has the key itself."
    ),
    run=run,
)
