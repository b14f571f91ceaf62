"""Admin: asking a running proxy and telling it, by HTTP, behind a guarded door.

| file | owns |
|---|---|
| admin.py, answers.py | what can be asked and told, and the shape of the answers; no HTTP |
| changes.py | what would differ between two configurations |
| operations.py, asked.py | the operations of `/v1` and what each takes; routes and description are made of them |
| openapi.py | the description of `/v1` |
| routes.py | from a request to an operation and back |
| guard.py, sessions.py, who.py | who may come, from where, how often; headers of every answer |
| events.py | what happens, as it happens |
| refusal.py | answers that say no (RFC 9457) |
| door.py, speaking.py | sockets, the thread that serves them, and bounds of each connection |
| client.py, screen.py | the other end: what commands ask with, and what `headworks top` draws |

Traffic never waits for any of it. starlette and uvicorn are imported by whoever opens the door, not before.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from headworks.config.tokens import Role
    from headworks.proxy import Proxy


def app(proxy: "Proxy", *, trust: "Role | None" = None) -> "ASGIApp":
    """Return the admin interface of a proxy as an ASGI app, to be mounted in another one or asked by tests.

    Whoever comes needs a token of ``admin.tokens``; without that key everybody may read, and change nothing. ``trust``
    is what everybody may do instead, for an app that stands behind a guard of yours. Raises ImportError without
    starlette (``pip install 'headworks[admin]'``).
    """
    return proxy.admin.app(trust=trust)
