"""What mitmproxy does with each request: the same test of a field and the path as everybody's. Run by mitmdump."""

from __future__ import annotations

from mitmproxy import http


class Bench:
    """An addon as its documentation has them: a class with methods named after events."""

    def request(self, flow: http.HTTPFlow) -> None:
        """Refuse a request, or let it go on with what all proxies add."""
        request = flow.request
        if request.headers.get("x-bad") is not None or request.path.startswith("/admin"):
            flow.response = http.Response.make(403)
            return
        client = flow.client_conn.peername
        request.headers["x-forwarded-for"] = client[0] if client else ""


addons = [Bench()]
