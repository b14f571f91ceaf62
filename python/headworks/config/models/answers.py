"""Answers to requests that no server answers: redirects, static answers, error pages.

Must never read a page: a page is a path here, and becomes text on the way to the engine (pages.py).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Unpack

from pydantic import BeforeValidator, Field

from headworks.config.models.base import Fields, Model, matching, path_text
from headworks.config.values import problem, quote

if TYPE_CHECKING:
    from headworks.config.written import RedirectDict, RespondDict

REDIRECTS = (301, 302, 303, 307, 308)
MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json", ".txt": "text/plain; charset=utf-8"}
"""Types of error pages, by the suffix of the file."""


def _code(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value not in REDIRECTS:
        raise problem(f"{value} is not a redirect; known: {', '.join(map(str, REDIRECTS))}")
    return value


class Redirect(Model):
    """``redirect``: the client is sent to another location."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[RedirectDict]) -> None: ...

    to: Annotated[
        str,
        matching(
            r"https(:[0-9]{1,5})?|(https?://|/|\{)[^\x00-\x20\x7f]*",
            '"https" (same host and path), nor a location that begins with https://, http:// or /',
        ),
        Field(
            description='"https": the same host and path by that scheme, at the port of the https listener; '
            '"https:PORT": at that port. Otherwise a location; variables such as {host}, {path} and {query} are filled '
            "in.",
            examples=["https", "https:8443", "https://www.example.com{path}", "/new"],
        ),
    ]
    code: Annotated[
        Literal[301, 302, 303, 307, 308],
        BeforeValidator(_code),
        Field(
            description="Status: 301, 302, 303, 307 or 308. With 307 and 308 clients keep method and body.",
            examples=[308, 302],
        ),
    ] = 308


class Respond(Model):
    """``respond``: the client gets a fixed answer."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[RespondDict]) -> None: ...

    status: Annotated[int, Field(ge=200, le=599, description="Status of the answer.", examples=[200, 404])] = 200
    body: Annotated[
        str,
        Field(
            description="Body of the answer; may have variables, which are written as its media type demands, or as a "
            "filter says: {path|json}.",
            examples=["It works.\n", "Hello, {client.address}\n"],
        ),
    ] = ""
    headers: Annotated[
        Fields,
        Field(
            description="Fields of the answer; values may have variables.",
            examples=[{"Content-Type": "text/plain"}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)


def _status(value: object) -> object:
    """A status as a key: TOML's keys are text, Python's may be numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _statuses(value: object) -> object:
    return {_status(key): page for key, page in value.items()} if isinstance(value, Mapping) else value


def _page(value: object) -> object:
    """A file whose suffix says what it is."""
    if isinstance(value, str) and not value.lower().endswith(tuple(MEDIA_TYPES)):
        raise problem(f"{quote(value)} does not end in {', '.join(MEDIA_TYPES)}, so nobody knows what it is")
    return value


Status = Annotated[str, matching(r"[45][0-9][0-9]", "a status from 400 to 599")]
Page = Annotated[str, BeforeValidator(_page), BeforeValidator(path_text), Field(min_length=1)]
ErrorPages = Annotated[dict[Status, Page], BeforeValidator(_statuses)]
"""Files by status."""
