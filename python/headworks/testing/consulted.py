"""Consulted: the analyzers of a configuration, asked in a test about what a decision wants to know.

Owns the question that is put to them, and that each is made once. Must never judge an answer: core does.
"""

import asyncio
import inspect
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from headworks.analyzers.asking import Asking, let_go
from headworks.analyzers.states import States
from headworks.analyzers.verdicts import Encoded, WrongVerdictError, encode
from headworks.rules.subjects import Hello, Request, Tls
from headworks.testing.questions import Question

if TYPE_CHECKING:
    from headworks.analyzers.declared import Declared
    from headworks.explanation import Asked


class Consulted:
    """The analyzers of one decision."""

    def __init__(self, declared: "Mapping[str, Declared]", asked: "Asked", body: bytes | None) -> None:
        self._declared = declared
        self._asked = asked
        self._body = body or b""
        self._made: dict[str, Asking] = {}
        self._states = States()

    def answer(self, told: Mapping[str, Any]) -> Encoded | None:
        """Return the answer that an explanation wants, as the engine takes it. Never raises what an analyzer does."""
        name, hook = told["wanted"]["analyzer"], told["wanted"]["hook"]
        if name not in self._made:
            self._made[name] = Asking(name, self._declared[name].make(), self._states)
        request, hello = self._request(told), self._hello(told)
        answer = ask(self._made[name], Question(hook, request=request, hello=hello))
        limit = _limit(answer) if hook == "request" else None
        if limit is None or len(self._body) > limit:
            return answer
        whole = Question(hook, request=request, hello=hello, chunk=self._body, last=True)
        answer = ask(self._made[name], whole)
        if _limit(answer) is None:
            return answer
        return self._made[name].failed(WrongVerdictError("request asks for the body that it has seen"), hook)

    def _request(self, told: Mapping[str, Any]) -> Request:
        host = self._asked.host or self._asked.sni
        fields = self._asked.headers.items() if isinstance(self._asked.headers, Mapping) else self._asked.headers
        secure = told.get("tls") == "terminated"
        return Request(
            method=told.get("method") or "GET",
            target=told.get("path") or "/",
            headers=[*([("Host", host)] if host else []), *fields],
            version="1.1" if host else "1.0",
            scheme="https" if secure else "http",
            client=told.get("client"),
            tls=Tls(name=told.get("sni")) if secure else None,
            listener=told["listener"],
            backend=told.get("backend"),
        )

    def _hello(self, told: Mapping[str, Any]) -> Hello:
        return Hello(name=told.get("name"), client=told.get("client"), listener=told["listener"])


def ask(asking: Asking, question: Question) -> Encoded | None:
    """Ask as a runner does. What is raised becomes the answer that the proxy would have."""
    try:
        method, given, view = asking.prepare(question, question.hook)  # type: ignore[arg-type]  # a double
        try:
            return encode(finished(method(*given)), question.hook)
        finally:
            if view is not None:
                let_go(view)
    except Exception as error:  # noqa: BLE001  (whatever the user's code does)
        return asking.failed(error, question.hook)


def finished(answer: Any) -> Any:
    """Return an answer; one that is a coroutine is awaited, in another thread where a loop is running in this one."""
    if not inspect.iscoroutine(answer):
        return answer
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(answer)
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, answer).result()


def _limit(answer: Encoded | None) -> int | None:
    """Return how much of the body is wanted."""
    limits = (part[1] for part in answer or () if part[0] == "read_body")
    limit: int | None = next(limits, None)
    return limit
