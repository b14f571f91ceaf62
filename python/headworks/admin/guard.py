"""Guard: every request passes it before anything looks at it, and every answer on its way out.

Owns the rules for browsers (Host, Origin, Sec-Fetch-Site, media types), who may come, and the headers that all answers
have. Must never know a route but those that everybody may ask.
"""

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from headworks.admin.refusal import Refusal
from headworks.admin.sessions import COOKIE, Failures, Sessions
from headworks.admin.who import Who
from headworks.config.tokens import Role, Tokens

if TYPE_CHECKING:
    from headworks.config import AdminSettings

SAFE = ("GET", "HEAD")
METHODS = (*SAFE, "POST", "PUT", "PATCH", "DELETE")
OPEN = ("/healthz", "/readyz")
"""Paths that everybody may ask: they tell nothing but whether all is well."""
GUARDED = ("/v1/", "/metrics")
"""Beginnings of paths that are for those who may; anything else is files, the same for everybody."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Headers of every answer."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?")

Scope = MutableMapping[str, Any]


@dataclass
class Guard:
    """The rules of one door. What a reload changes is changed here."""

    tokens: Tokens | None = None
    """None: whoever comes by TCP may read, and change nothing."""
    hosts: Sequence[str] = ()
    """Names that may be asked for, besides addresses and localhost."""
    trust: Role | None = None
    """The role of everybody, whoever it is."""

    def __post_init__(self) -> None:
        self.sessions = Sessions()
        self.failures = Failures()

    @classmethod
    def of(cls, settings: "AdminSettings | None", trust: Role | None = None) -> "Guard":
        """Return that of ``[admin]``. Raises TokensError."""
        guard = cls(trust=trust)
        if settings is not None:
            guard.renew(settings)
        return guard

    def renew(self, settings: "AdminSettings") -> None:
        """Take up what a reload has changed. Raises TokensError, and changes nothing then."""
        tokens = None if settings.tokens is None else Tokens.read(settings.tokens)
        self.tokens, self.hosts = tokens, settings.hosts

    def admit(self, scope: Scope) -> Who:
        """Return who asks. Raises Refusal for whoever may not."""
        self.check(scope)
        who = self._who(Fields(scope), scope, scope.get("headworks.who"))
        if who.role is None:
            raise _unknown("a token is needed: Authorization: Bearer TOKEN")
        return who

    def look(self, scope: Scope) -> None:
        """Hold a request for a file to what it can do wrong: files are no secret. Raises Refusal."""
        if scope["method"] not in SAFE:
            raise Refusal(405, "method", "files are for GET", headers={"Allow": ", ".join(SAFE)})
        if scope.get("headworks.who") is None and self.trust is None:
            self._check_host(Fields(scope).one("host"))

    def check(self, scope: Scope) -> None:
        """Hold a request to the rules for all, whoever asks. Raises Refusal."""
        fields = Fields(scope)
        if scope["method"] not in METHODS:
            raise Refusal(
                405, "method", f"methods here are {', '.join(METHODS)}", headers={"Allow": ", ".join(METHODS)}
            )
        if scope.get("headworks.who") is None and self.trust is None:
            self._check_host(fields.one("host"))
        _check_site(fields, scope)
        if scope["method"] not in SAFE:
            _check_kind(fields)

    def enter(self, scope: Scope, secret: str) -> str:
        """Begin a session with the secret of a token; returns what its cookie has. Raises Refusal."""
        client = _client(scope)
        self._check_failures(client)
        token = self.tokens.find(secret) if self.tokens is not None else None
        if token is None:
            self.failures.add(client)
            raise _unknown("there is no such token")
        return self.sessions.begin(token)

    def _who(self, fields: "Fields", scope: Scope, at_socket: Who | None) -> Who:
        if self.trust is not None:
            return Who("trusted", self.trust)
        if (given := fields.one("authorization")) is not None:
            return self._of_secret(given, _client(scope))
        if at_socket is not None and at_socket.role is not None:
            return at_socket
        if self.tokens is None:
            # Our own process needs a token, and there is none: a server that is this socket leads nowhere.
            return Who("nobody", None if at_socket is not None else "read")
        cookie = _cookie(fields.one("cookie"))
        token = self.sessions.find(cookie, self.tokens) if cookie is not None else None
        return Who(token.name, token.role) if token is not None else Who("nobody", None)

    def _of_secret(self, given: str, client: str) -> Who:
        self._check_failures(client)
        kind, _, secret = given.partition(" ")
        token = None
        if kind.lower() == "bearer" and self.tokens is not None:
            token = self.tokens.find(secret.strip())
        if token is None:
            self.failures.add(client)
            raise _unknown("there is no such token")
        return Who(token.name, token.role)

    def _check_failures(self, client: str) -> None:
        if (seconds := self.failures.wait(client)) > 0:
            wait = str(int(seconds) + 1)
            raise Refusal(
                429, "too_many_failures", f"wait {wait} s: too many wrong tokens", headers={"Retry-After": wait}
            )

    def _check_host(self, written: str | None) -> None:
        """Refuse names that are not ours: their owner may have them lead here (DNS rebinding)."""
        found = _HOST.fullmatch(written or "")
        host = found[1].strip("[]").lower() if found else ""
        if host != "localhost" and host not in {one.lower() for one in self.hosts} and not _is_address(host):
            raise Refusal(421, "host", "nobody here has the name that was asked for: see admin.hosts")


class Fields:
    """The fields of a request's head."""

    def __init__(self, scope: Scope) -> None:
        self._fields: list[tuple[bytes, bytes]] = list(scope["headers"])

    def one(self, name: str) -> str | None:
        """Return a field; None where it is not there. Raises Refusal where it is there twice."""
        found = [value for key, value in self._fields if key.lower() == name.encode()]
        if len(found) > 1:
            raise Refusal(400, "field_twice", f"{name} is there twice")
        return found[0].decode("latin-1").strip() if found else None


def _check_site(fields: Fields, scope: Scope) -> None:
    """Refuse what a page of somebody else had a browser ask."""
    site = fields.one("sec-fetch-site")
    if site is not None and site.lower() not in ("same-origin", "none"):
        raise Refusal(403, "cross_site", "asked by a page of another site")
    origin = fields.one("origin")
    if origin is not None and origin.lower() != f"{scope['scheme']}://{fields.one('host')}".lower():
        raise Refusal(403, "cross_site", "asked by a page of another origin")


def _check_kind(fields: Fields) -> None:
    kind = (fields.one("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "media_type", "what changes something is application/json: --json of curl")


def _client(scope: Scope) -> str:
    if (who := scope.get("headworks.who")) is not None:
        return f"socket {who.name}"
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _cookie(written: str | None) -> str | None:
    try:
        found = SimpleCookie(written or "").get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None else None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _unknown(reason: str) -> Refusal:
    return Refusal(401, "token", reason, headers={"WWW-Authenticate": 'Bearer realm="headworks"'})
