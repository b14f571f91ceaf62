"""Step: one request to each name. The client verifies the server's own certificate, so nothing was decrypted."""

from dataclasses import dataclass
from time import perf_counter

from headworks.demo.clients import receive
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage
from headworks.explanation import Explanation, explain

NAMES = ("shop.example", "blog.example", "cats.apps.example", "api7.example")

_WORD = b"hello, headworks\n"


@dataclass(frozen=True, kw_only=True)
class _Route:
    """One row, and what is wrong with it."""

    row: tuple[str, ...]
    problems: tuple[str, ...]
    remark: str = ""


def run(stage: Stage) -> Result:
    """Ask every name, and the echo."""
    routes = [*(_tls(stage, name) for name in NAMES), _tcp(stage)]
    shown = table("name", "listener", "entry", "backend", "server", "result", ">ms")
    for route in routes:
        shown.add_row(*route.row)
    remarks = tuple(route.remark for route in routes if route.remark)
    return Result(shown=(shown, *remarks), problems=tuple(problem for route in routes for problem in route.problems))


def _tls(stage: Stage, name: str) -> _Route:
    expected = explain(stage.settings, listener="secure", sni=name, client="127.0.0.1")
    answer = stage.clients.ask(name)
    origin = stage.tls_origin(answer.server)
    result = f"certificate {origin.host} verified"
    told = answer.client == answer.here
    return _Route(
        remark=f"{answer.server} was told the client's own address by a PROXY header: {answer.client}." if told else "",
        row=_row(name, expected, f"{answer.server} :{origin.port}", result, answer.seconds),
        problems=unless(
            (
                origin.address in [server.address for server in expected.servers],
                f"{name} came to {answer.server}, which is not of backend {expected.backend}",
            ),
            (origin.fingerprint == answer.fingerprint, f"{name}: not the certificate of {answer.server}"),
            (told == (expected.backend == "shop"), f"{name}: the server saw {answer.client}, not {answer.here}"),
        ),
    )


def _tcp(stage: Stage) -> _Route:
    expected = explain(stage.settings, listener="echo", client="127.0.0.1")
    began = perf_counter()
    with stage.clients.connect("echo") as connection:
        connection.sendall(_WORD)
        came_back = receive(connection, len(_WORD))
    seconds = perf_counter() - began
    server = f"echo-1 :{stage.origins['echo-1'].port}"
    return _Route(
        row=_row("(plain TCP)", expected, server, f"{len(came_back)} bytes came back", seconds),
        problems=unless((came_back == _WORD, f"the echo answered {came_back!r}")),
    )


def _row(name: str, expected: Explanation, server: str, result: str, seconds: float) -> tuple[str, ...]:
    return (
        name,
        expected.listener,
        expected.entry or "-",
        expected.backend or "-",
        server,
        result,
        f"{seconds * 1000:.1f}",
    )


STEP = Step(
    name="routes",
    says=(
        "The name a client asks for is in the first bytes of TLS, in clear. Headworks reads it, finds the entry in "
        "the table and connects the client to a server of the entry's backend. It has no key of any site: "
        "each client below verified the server's own certificate, end to end."
    ),
    run=run,
)
