"""A switch in a file: `touch closed` and reload, and everybody but the office gets 503. A rule: no Python runs."""

from pathlib import Path

import headworks

IS_CLOSED = Path(__file__).with_name("closed").exists()
"""Read when the configuration is: at the start and at each reload."""
OFFICE = headworks.networks("10.0.0.0/8")


@headworks.rule
def closed(request: headworks.Request) -> headworks.Verdict | None:
    """Answer that we are closed."""
    if IS_CLOSED and request.client not in OFFICE:
        return headworks.respond(503, "back in an hour\n", {"Retry-After": "3600"})
    return None
