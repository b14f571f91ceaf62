"""Sessions in SQLite: plain methods, because the driver blocks; `concurrency` says how many look at once."""

import sqlite3
import threading

import headworks
from headworks import Proxy


class Sessions(headworks.Analyzer):
    """Tells the server whose session a cookie is."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._local = threading.local()

    def start(self, proxy: Proxy) -> None:
        """Make the table where there is none."""
        self.connection().execute("CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, user TEXT)")

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        """Look the session up. Without one the request goes on, and says so."""
        session = exchange.request.cookies.get("session")
        user = self.user(session) if session else None
        exchange.state.user = user
        return headworks.rewrite(set_headers={"X-Session-User": user})

    def user(self, session: str) -> str | None:
        """Return whose session it is."""
        # A value is never put into the text of a query.
        row = self.connection().execute("SELECT user FROM sessions WHERE id = ?", (session,)).fetchone()
        return None if row is None else str(row[0])

    def connection(self) -> sqlite3.Connection:
        """Return the connection of this thread: SQLite's are not shared."""
        if not hasattr(self._local, "connection"):
            shared = "file::memory:?cache=shared" if self.database == ":memory:" else f"file:{self.database}"
            self._local.connection = sqlite3.connect(shared, uri=True)
        connection: sqlite3.Connection = self._local.connection
        return connection
