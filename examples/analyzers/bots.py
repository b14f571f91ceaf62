"""Bots by how their TLS speaks (JA4) and what they say they are: a rule for what is plain, an analyzer for the rest."""

import headworks
from headworks.analyzers.connection import Connection
from headworks.analyzers.views import HelloView

KNOWN = {"t13d1516h2_8daaf6152771_02713d6af862": "an old scraper"}
"""Fingerprints that were seen to misbehave."""


@headworks.rule
def suspects(request: headworks.Request) -> headworks.Verdict | None:
    """Refuse who says what it is: no Python runs for this."""
    agent = request.headers.get("user-agent")
    if agent is None or "bot" in agent.lower():
        return headworks.limit(request.client, "10/m") & headworks.log(suspect="yes")
    return None


class Bots(headworks.Analyzer):
    """Refuses fingerprints that are known, and slows down clients that connect too often."""

    def __init__(self, rate: str) -> None:
        self.rate = rate

    def hello(self, connection: Connection, hello: HelloView) -> headworks.Verdict | None:
        """Decide before a byte goes to a server."""
        if why := KNOWN.get(hello.ja4 or ""):
            return headworks.reject(why)
        return headworks.limit(str(connection.client), self.rate) & headworks.log(ja4=hello.ja4)
