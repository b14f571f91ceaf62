"""Step: a certificate's file is replaced while clients come and go, once by rubbish."""

from headworks.demo.browsers import Browser
from headworks.demo.clients import Traffic, errors
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage

_HOST, _LISTENER = "www.example", "renewed"
_ENOUGH = 8
"""Requests that are waited for in each phase."""
_SHORT = 16
"""Digits of a fingerprint that are shown."""


def run(stage: Stage) -> Result:
    """Break the file, then renew it, while new connections are made all the time."""
    seen, file = stage.notices.count(), str(stage.certificate_file)

    def shown_now() -> str:
        with Browser(stage.clients, _LISTENER, secure=True) as browser:
            browser.get(_HOST, "/")
            return browser.tls.fingerprint

    def ask(host: str) -> str:
        with Browser(stage.clients, _LISTENER, secure=True) as browser:
            return browser.get(host, "/").server

    with Traffic(ask, _HOST) as traffic:
        traffic.more(_ENOUGH)
        before = shown_now()
        stage.progress("the file is overwritten with rubbish")
        stage.replace_certificate(b"rubbish")
        refused = stage.notices.wait("certificate_refused", file, after=seen)
        traffic.more(_ENOUGH)
        unmoved = shown_now()
        stage.progress("the certificate is renewed")
        renewed = stage.renew()
        stage.notices.wait("certificate_renewed", file, after=seen)
        traffic.more(_ENOUGH)
        after = shown_now()
    attempts = traffic.since()
    failed = errors(attempts)
    shown = table("the file", "then clients are shown", "told")
    shown.add_row("as at the start", before[:_SHORT], "")
    shown.add_row("rubbish", unmoved[:_SHORT], f"{refused.kind}: {refused.facts.get('reason')}")
    shown.add_row("renewed", after[:_SHORT], "certificate_renewed")
    return Result(
        shown=(shown, f"Meanwhile: {len(attempts)} handshakes and requests by 4 clients, {len(failed)} failed."),
        problems=unless(
            (unmoved == before, "rubbish changed what clients are shown"),
            (after == renewed, "the new certificate is not shown"),
            (not failed, f"{len(failed)} requests failed: {'; '.join(failed[:3])}"),
        ),
    )


STEP = Step(
    name="renewal",
    says=(
        "Files of certificates are watched. A new one is checked and swapped in; one that cannot be used is reported, "
        "and the one before goes on."
    ),
    run=run,
)
