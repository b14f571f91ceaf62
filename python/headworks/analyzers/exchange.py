"""Exchange: a request and its response as analyzers see them. Must never be changed: a verdict says what is to be."""

from types import SimpleNamespace

from headworks.analyzers.connection import Connection
from headworks.analyzers.views import RequestView, ResponseView, WithHeads, put_request, put_response


class Exchange(WithHeads):
    """A request, and its response once that has come; the same one has the same ``id`` and ``state`` all along."""

    __slots__ = ()

    @property
    def id(self) -> int:
        """Return a number that no other exchange of this process has."""
        return self._asked.exchange

    @property
    def request(self) -> RequestView:
        """Return the request: as its client sent it, and in hooks of the response as its server got it."""
        request = self._request
        if request is None:
            request = RequestView(self._asked)
            put_request(self, request)
        return request

    @property
    def response(self) -> ResponseView | None:
        """Return the response; None before it has come."""
        response = self._response
        if response is None and self._asked.hook in ("response", "response_body"):
            response = ResponseView(self._asked)
            put_response(self, response)
        return response

    @property
    def body(self) -> bytes | None:
        """Return the whole body, after ``read_body``; None before."""
        return self._asked.chunk if self._asked.hook == "request" and self._asked.last else None

    @property
    def last(self) -> bool:
        """Whether nothing of the body follows the part that is asked about."""
        return self._asked.last

    @property
    def connection(self) -> Connection:
        """Return the client's connection."""
        return Connection(self._asked, self._states)

    @property
    def state(self) -> SimpleNamespace:
        """Return an object for whatever analyzers keep with it: ``exchange.state.user = "ann"``."""
        return self._states.of(self._asked.exchange)

    @property
    def trace(self) -> str | None:
        """Return ``traceparent`` of the request (W3C Trace Context), if it has one."""
        return self._asked.header("traceparent")

    def __repr__(self) -> str:
        return f"<Exchange {self.request!r}>"
