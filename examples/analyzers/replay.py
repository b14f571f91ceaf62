"""A 503 is not the last word: an idempotent request is asked once more, of another server of the same backend."""

from http.client import HTTPConnection, HTTPException, HTTPResponse

import headworks
from headworks import Proxy
from headworks.analyzers.views import RequestView

IDEMPOTENT = {"GET", "OPTIONS", "DELETE"}
"""Methods that may be sent twice (RFC 9110, section 9.2.2). The body of a PUT is gone when its response comes, and the
answer to a HEAD has the length of a body that is not there."""
OURS = {"connection", "content-length", "date", "keep-alive", "transfer-encoding"}
"""Fields of a response that the proxy writes itself."""


@headworks.rule
def unavailable(response: headworks.Response) -> headworks.Verdict | None:
    """Consult the analyzer about a 503 alone: no Python runs for other responses."""
    if response.status == 503 and response.request.method in IDEMPOTENT:
        return headworks.consult("replay")
    return None


class Replay(headworks.Analyzer):
    """Asks another server, and answers with what that one says: plain methods, because the client blocks."""

    def __init__(self, most: int = 1 << 18, patience: float = 2.0) -> None:
        self.most = most
        self.patience = patience

    def start(self, proxy: Proxy) -> None:
        """Keep the proxy: it knows which servers there are."""
        self.proxy = proxy

    def response(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Answer with what another server says; None leaves the 503 as it is."""
        request, response = exchange.request, exchange.response
        if request.content_length or request.chunked or response is None or response.backend is None:
            return None
        other = self.other(response.backend, response.server)
        return None if other is None else self.asked(other, request)

    def other(self, backend: str, failed: str | None) -> str | None:
        """Return a server of a backend that is in service and not the one that has failed."""
        for address, server in self.proxy.stats().backends[backend].servers.items():
            in_service = server.up and not server.ejected and server.admin == "ready"
            if in_service and address != failed and not address.startswith("unix:"):
                return address
        return None

    def asked(self, server: str, request: RequestView) -> headworks.Verdict | None:
        """Ask a server; None when it is no better."""
        connection = HTTPConnection(server, timeout=self.patience)
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.fields:
                connection.putheader(name, value.encode("utf-8", "surrogateescape"))
            connection.endheaders()
            return self.answer(connection.getresponse(), server)
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def answer(self, response: HTTPResponse, server: str) -> headworks.Verdict | None:
        """Return what a server says as an answer of ours, unless it cannot be one."""
        fields = {name: value for name, value in response.getheaders() if name.lower() not in OURS}
        is_whole = len(fields) == sum(name.lower() not in OURS for name, _ in response.getheaders())
        body = response.read(self.most + 1)
        if response.status >= 500 or len(body) > self.most or not is_whole:
            return None
        text = body.decode("utf-8", "surrogateescape")
        return headworks.respond(response.status, text, fields) & headworks.log(replayed=server)
