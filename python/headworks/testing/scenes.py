"""Scene: one analyzer on its own, asked as a proxy would ask it, about bytes in any pieces. No proxy, no socket.

Owns in which pieces bytes come, and what the answers come to. Must never judge an answer more gently than the engine
does: one that may not be given there raises WrongVerdictError.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from headworks.analyzers.asking import Asking, let_go
from headworks.analyzers.base import Analyzer
from headworks.analyzers.states import States
from headworks.analyzers.verdicts import (
    MOST_NEED,
    Bypass,
    Drop,
    Finish,
    ReadBody,
    Replace,
    Wait,
    WrongVerdictError,
    encode,
)
from headworks.rules.subjects import Hello, Request, Response
from headworks.rules.verdicts import Verdict
from headworks.testing.consulted import finished
from headworks.testing.questions import Question


class Scene:
    """One analyzer and one client: ``Scene(Tenants(dsn=...)).request(headworks.Request(...))``.

    ``state`` is what the analyzer keeps with the connection or the exchange. Whatever it raises is raised here.
    """

    def __init__(self, analyzer: Analyzer) -> None:
        self._asking = Asking(type(analyzer).__name__, analyzer, States())
        self.state = self._asking.states.of(1)
        self.asked = 0
        """How often it was asked."""
        self.verdicts: list[Verdict | None] = []
        """Every answer, in order."""
        self._bypassed = False

    def accepted(self, client: str | None = "127.0.0.1", *, listener: str = "") -> Verdict | None:
        """Return the answer about a client that has connected."""
        return self._ask(Question("accepted", hello=Hello(client=client, listener=listener)))

    def hello(self, hello: Hello) -> Verdict | None:
        """Return the answer about a ClientHello."""
        return self._ask(Question("hello", hello=hello))

    def first_bytes(self, data: bytes, *, split: int | Iterable[int] = 0, client: str | None = None) -> Verdict | None:
        """Return the answer about first bytes that come in pieces: of ``split`` bytes each, or cut at these places.

        None as well when more is waited for than comes: ``verdicts`` has every answer. Raises WrongVerdictError for an
        answer that may not be given there.
        """
        held, need = b"", 1
        for piece in pieces(data, split):
            held += piece
            if len(held) < need:
                continue
            verdict = self._ask(Question("first_bytes", chunk=held, hello=Hello(client=client)))
            waited = _part(verdict, Wait)
            if waited is None:
                return verdict
            need = waited.need
            if need <= len(held):
                raise WrongVerdictError(f"first_bytes waits for {need} bytes, and {len(held)} are there")
        return None

    def request(self, request: Request, body: bytes | None = None) -> Verdict | None:
        """Return the answer about a request; ``body`` is what it gets to read.

        Raises ValueError for a body beyond the limit that is asked for, WrongVerdictError for an answer that may not be
        given there.
        """
        verdict = self._ask(Question("request", request=request))
        wanted = _part(verdict, ReadBody)
        if wanted is None:
            return verdict
        if len(body or b"") > wanted.limit:
            raise ValueError(f"the body has {len(body or b'')} bytes, and {wanted.limit} are read: the client gets 413")
        verdict = self._ask(Question("request", request=request, chunk=body or b"", last=True))
        if _part(verdict, ReadBody) is not None:
            raise WrongVerdictError("request asks for the body that it has seen")
        return verdict

    def response(self, response: Response) -> Verdict | None:
        """Return the answer about a response."""
        return self._ask(Question("response", request=response.request, response=response))

    def request_body(self, data: bytes, *, split: int | Iterable[int] = 0, request: Request | None = None) -> bytes:
        """Return what goes on of a request's body that comes in pieces, as ``first_bytes`` has it: of ``split`` bytes.

        Raises WrongVerdictError for an answer that may not be given there.
        """
        return self._body("request_body", data, split, {"request": request})

    def response_body(self, data: bytes, *, split: int | Iterable[int] = 0, response: Response | None = None) -> bytes:
        """Return what goes on of a response's body that comes in pieces, as ``first_bytes`` has it: of ``split`` bytes.

        Raises WrongVerdictError for an answer that may not be given there.
        """
        request = response.request if response is not None else None
        return self._body("response_body", data, split, {"request": request, "response": response})

    def _body(self, hook: str, data: bytes, split: int | Iterable[int], about: dict[str, Any]) -> bytes:
        held, need, out = b"", 1, b""
        parts = [*pieces(data, split), None]
        for piece in parts:
            held += piece or b""
            is_last = piece is None
            if self._bypassed:
                out, held = out + held, b""
            elif len(held) >= need or is_last:
                verdict = self._ask(Question(hook, chunk=held, last=is_last, **about))
                waited = _part(verdict, Wait)
                if waited is not None and not is_last:
                    if not len(held) < waited.need <= MOST_NEED:
                        raise WrongVerdictError(f"{hook} waits for {waited.need} bytes, and {len(held)} are there")
                    need = waited.need
                    continue
                out, held, need = out + _goes_on(verdict, held), b"", 1
                if _part(verdict, Finish) is not None:
                    break
        return out

    def _ask(self, question: Question) -> Verdict | None:
        """Ask as a runner does. Raises what the analyzer raises."""
        if self._bypassed:
            return None
        self.asked += 1
        method, given, view = self._asking.prepare(question, question.hook)  # type: ignore[arg-type]  # a double
        try:
            answer = finished(method(*given))
            encode(answer, question.hook)
        finally:
            if view is not None:
                let_go(view)
        self.verdicts.append(answer)
        self._bypassed = _part(answer, Bypass) is not None
        return answer  # type: ignore[no-any-return]


def pieces(data: bytes, split: int | Iterable[int]) -> Iterator[bytes]:
    """Yield ``data`` in pieces of ``split`` bytes (0: whole), or cut at the places that ``split`` has."""
    if isinstance(split, int):
        places: Iterable[int] = range(split, len(data), split) if split > 0 else ()
    else:
        places = sorted(split)
    begun = 0
    for place in (*places, len(data)):
        if piece := data[begun:place]:
            yield piece
        begun = max(begun, place)


def _part(verdict: Verdict | None, kind: type[Any]) -> Any:
    return next((part for part in verdict.parts if isinstance(part, kind)), None) if verdict is not None else None


def _goes_on(verdict: Verdict | None, held: bytes) -> bytes:
    replaced = _part(verdict, Replace)
    if replaced is not None:
        content: bytes = replaced.content
        return content
    return b"" if _part(verdict, Drop) is not None else held
