"""Requests signed for their server: HMAC-SHA256 of method, target, time and body, which must be there first."""

import hashlib
import hmac
import time

import headworks


class Signing(headworks.Analyzer):
    """Signs what goes to a server that believes nobody else."""

    def __init__(self, secret: str, most: int = 1 << 20) -> None:
        self.secret = secret.encode()
        self.most = most

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Ask for the body where there is one, and sign."""
        request = exchange.request
        has_body = request.chunked or (request.content_length or 0) > 0
        if has_body and exchange.body is None:
            return headworks.read_body(self.most)
        moment = str(int(time.time()))
        signature = self.signature(request.method, request.target, moment, exchange.body or b"")
        return headworks.rewrite(set_headers={"X-Time": moment, "X-Signature": signature})

    def signature(self, method: str, target: str, moment: str, body: bytes) -> str:
        """Return the signature in hexadecimal digits."""
        signed = hmac.new(self.secret, digestmod=hashlib.sha256)
        # Lengths are said, so that no two requests make the same bytes.
        for part in (method.encode(), target.encode(), moment.encode(), body):
            signed.update(len(part).to_bytes(8, "big") + part)
        return signed.hexdigest()
