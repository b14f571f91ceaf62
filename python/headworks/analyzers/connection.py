"""Connection: a client's connection as analyzers see it. Must never be changed: a verdict says what is to happen."""

from ipaddress import ip_address
from types import SimpleNamespace

from headworks.analyzers.views import Address, Lasting, TlsView


class Connection(Lasting):
    """A connection; the same one at several moments has the same ``id`` and ``state``."""

    __slots__ = ()

    @property
    def id(self) -> int:
        """Return a number that no other connection of this process has."""
        return self._asked.connection

    @property
    def state(self) -> SimpleNamespace:
        """Return an object for whatever analyzers keep with it: ``connection.state.user = "ann"``."""
        return self._states.of(self._asked.connection)

    @property
    def client(self) -> Address | None:
        """Return the client's address; None for unix sockets."""
        value = self._asked.attribute("client")
        return ip_address(value) if isinstance(value, str) else None

    @property
    def client_port(self) -> int | None:
        """Return the client's port."""
        value = self._asked.attribute("client_port")
        return value if isinstance(value, int) else None

    @property
    def listener(self) -> str:
        """Return the name of the listener that it came by."""
        value = self._asked.attribute("listener")
        return value if isinstance(value, str) else ""

    @property
    def tls(self) -> TlsView | None:
        """Return the handshake; None where TLS does not end at us, and before it is complete."""
        if self._asked.exchange == 0:
            return None
        return TlsView(self._asked) if self._asked.attribute("tls") else None

    def __repr__(self) -> str:
        return f"<Connection of {self.client} at {self.listener}>"
