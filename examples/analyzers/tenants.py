"""Tenants by the name of the TLS client, from a database, with a cache: most names are asked for again at once."""

import sqlite3
import time

import headworks
from headworks.analyzers.connection import Connection
from headworks.analyzers.views import HelloView


class Tenants(headworks.Analyzer):
    """Routes a tenant's connections to its backend; TLS passes through untouched."""

    def __init__(self, database: str, fresh: float = 10.0, most: int = 10_000) -> None:
        self.database = sqlite3.connect(database, check_same_thread=False)
        self.database.execute("CREATE TABLE IF NOT EXISTS tenants (name TEXT PRIMARY KEY, backend TEXT)")
        self.fresh = fresh
        self.most = most
        self._known: dict[str, tuple[float, str | None]] = {}

    def hello(self, connection: Connection, hello: HelloView) -> headworks.Verdict | None:
        """Route by the name; a name that nobody has is refused."""
        if hello.name is None:
            return headworks.reject("no name")
        backend = self.backend(hello.name)
        return headworks.reject("no such tenant") if backend is None else headworks.route(backend)

    def backend(self, name: str) -> str | None:
        """Return a tenant's backend; that there is none is remembered, too."""
        until, backend = self._known.get(name, (0.0, None))
        if time.monotonic() < until:
            return backend
        row = self.database.execute("SELECT backend FROM tenants WHERE name = ?", (name,)).fetchone()
        backend = None if row is None else str(row[0])
        if len(self._known) >= self.most:
            # Names are the clients' to make up: the cache is bounded.
            self._known.clear()
        self._known[name] = (time.monotonic() + self.fresh, backend)
        return backend
