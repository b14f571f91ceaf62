"""E-mail addresses taken out of JSON: the body is changed on its way, however it is cut."""

import re

import headworks

ADDRESS = re.compile(rb"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
LONGEST = 64 + 1 + 9 * 64
"""Bytes of an address at most: it may lie across two parts."""


class Redact(headworks.Analyzer):
    """Replaces addresses in responses of JSON."""

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Have the server send what can be read."""
        return headworks.rewrite(remove_headers=["accept-encoding"])

    def response(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Leave everything else alone: pictures cost nothing."""
        response = exchange.response
        kind = response.headers.get("content-type", "") if response is not None else ""
        return None if kind.partition(";")[0].strip() == "application/json" else headworks.bypass()

    def response_body(self, exchange: headworks.Exchange, chunk: memoryview) -> headworks.Verdict | None:
        """Pass on what cannot be the beginning of an address."""
        text = exchange.state.__dict__.get("rest", b"") + bytes(chunk)
        keep = 0 if exchange.last else min(LONGEST, len(text))
        # What may go on stands behind: cut where no address is.
        cut = len(text) - keep
        # No further back than an address is long: what is kept is bounded.
        least = max(0, cut - LONGEST)
        while least < cut < len(text) and (text[cut - 1 : cut].isalnum() or text[cut - 1] in b"._%+-@"):
            cut -= 1
        exchange.state.rest = text[cut:]
        return headworks.replace(ADDRESS.sub(b"[address]", text[:cut]))
