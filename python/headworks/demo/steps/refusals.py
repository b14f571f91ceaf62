"""Step: clients that nobody serves are told so in their own language, with a TLS alert."""

from headworks.demo.clients import hello
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage
from headworks.explanation import explain

UNKNOWN = "nobody.example"
_GARBAGE = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


def run(stage: Stage) -> Result:
    """Send each, and read the alert."""
    shown = table("a client that", "gets the alert", "on the wire")
    problems: list[str] = []
    cases = ((f"asks for {UNKNOWN}", hello(UNKNOWN), 112), ("speaks no TLS: GET / HTTP/1.1", _GARBAGE, 40))
    for what, first, wanted in cases:
        refusal = stage.clients.refused(first)
        shown.add_row(what, str(refusal), refusal.record.hex(" "))
        problems += unless((refusal.number == wanted, f"a client that {what} got {refusal}, not alert {wanted}"))
    why = explain(stage.settings, listener="secure", sni=UNKNOWN)
    problems += unless((why.refusal == "no_match", f"explain says {why.refusal} of {UNKNOWN}, not no_match"))
    return Result(shown=(shown, f"headworks explain says: {why.steps[-1]}."), problems=tuple(problems))


STEP = Step(
    name="refusals",
    says="A name in no table, or bytes that are no TLS: the client gets an alert at once, and no server hears of it.",
    run=run,
)
