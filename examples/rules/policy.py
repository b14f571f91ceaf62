"""Who may ask for what, and who tries the new version. Compiled by Headworks: no Python runs per request."""

import re

import headworks

OFFICE = headworks.networks("10.0.0.0/8", "127.0.0.0/8", "2001:db8::/32")
BLOCKED = headworks.load("blocked.txt")
"""Names of programs that are not served, a line each; read again at every reload."""
CLOSED = headworks.load("closed.txt")
"""Hosts that are being worked on. An empty file: none."""


@headworks.rule
def maintenance(request: headworks.Request) -> headworks.Verdict | None:
    """Tell everybody but the office that a host comes back soon."""
    if request.host in CLOSED and request.client not in OFFICE:
        return headworks.respond(503, f"{request.authority} is back soon.\n", {"Retry-After": "600"})
    return None


@headworks.rule
def guard(request: headworks.Request) -> headworks.Verdict | None:
    """Keep programs out that only scan, and everybody from the administration but the office."""
    agent = request.headers.get("user-agent", "")
    if agent.partition("/")[0].lower() in BLOCKED or re.search(r"\.(php|asp|env)$", request.path):
        return headworks.reject("a scanner") & headworks.log(agent=agent)
    if request.path.startswith("/admin") and request.client not in OFFICE:
        return headworks.respond(403, "Not from here.\n")
    key = request.headers.get("x-api-key")
    if request.path.startswith("/api/"):
        if key is None:
            return headworks.respond(401, "A key is needed.\n", {"WWW-Authenticate": "ApiKey"})
        return headworks.limit(key, "600/m")
    return None


@headworks.rule
def canary(request: headworks.Request) -> headworks.Verdict | None:
    """Send whoever asks for it, and one client in twenty, to the new version: always the same ones."""
    wanted = request.cookies.get("version")
    if wanted == "new" or (wanted is None and headworks.sample(5, key=request.client)):
        return headworks.route("canary") & headworks.rewrite(set_headers={"X-Version": "new"})
    return None


@headworks.rule
def hardened(response: headworks.Response) -> headworks.Verdict | None:
    """Hide what servers run, and say what browsers may not do."""
    return headworks.rewrite(set_headers={"Server": None, "X-Powered-By": None, "X-Content-Type-Options": "nosniff"})
