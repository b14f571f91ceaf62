"""Questions: what an analyzer is asked in a test, made of plain objects in place of a connection.

Owns that such a question answers as the engine's does. Must never need an engine.
"""

from typing import Any

from headworks.rules.subjects import Hello, Request, Response


class Question:
    """One question, with everything that the engine's has."""

    def __init__(  # noqa: PLR0913  (one for each thing that a question may be about)
        self,
        hook: str,
        *,
        request: Request | None = None,
        response: Response | None = None,
        hello: Hello | None = None,
        chunk: bytes = b"",
        last: bool = False,
        number: int = 1,
    ) -> None:
        self.hook = hook
        self.chunk = chunk
        self.last = last
        self.ticket = number
        self.connection = number
        self.exchange = number if hook.startswith(("request", "response")) else 0
        self._request = request or Request()
        self._response = response or Response(request=self._request)
        self._hello = hello or Hello(client=self._request.client, listener=self._request.listener)

    def attribute(self, name: str) -> str | int | bool | None:
        """Return an attribute by the name that rules have for it. Raises ValueError when there is none."""
        subject: Any = self._request if self.exchange else self._hello
        if name in ("status", "server"):
            subject = self._response
        if name == "tls":
            return self._request.tls is not None
        if name.startswith("tls."):
            subject, name = self._request.tls, name.removeprefix("tls.")
            if subject is None:
                return False if name == "verified" else None
        if not hasattr(subject, name):
            raise ValueError(f'there is no attribute "{name}" here')
        value = getattr(subject, name)
        return value if value is None or isinstance(value, (str, int, bool)) else str(value)

    def header(self, name: str) -> str | None:
        """Return a field of the request."""
        return self._request.headers.get(name)

    def headers(self) -> list[tuple[str, str]]:
        """Return every field of the request."""
        return list(self._request.headers.fields)

    def response_header(self, name: str) -> str | None:
        """Return a field of the response."""
        return self._response.headers.get(name)

    def response_headers(self) -> list[tuple[str, str]]:
        """Return every field of the response."""
        return list(self._response.headers.fields)
