"""Origins that speak TLS."""

import socket
import ssl
from typing import Any

from rig.http_origins import Answering, HttpOrigin
from rig.origins import Origin


class TlsHttpOrigin(HttpOrigin):
    """An HTTP origin over TLS. ``agreed`` tells of each handshake: version, name asked for, ALPN, resumed or not."""

    def __init__(self, tls: ssl.SSLContext, answering: Answering | None = None, **others: Any) -> None:
        super().__init__(answering, **others)
        self.tls = tls
        self.agreed: list[dict[str, Any]] = []
        self.failures: list[str] = []
        """Of handshakes."""
        tls.sni_callback = self._asked_for

    def _asked_for(self, stream: Any, name: str | None, _: ssl.SSLContext) -> None:
        stream.asked_for = name

    def _converse(self, connection: socket.socket, origin: Origin) -> None:
        try:
            secure = self.tls.wrap_socket(connection, server_side=True)
        except OSError as error:
            with self._lock:
                self.failures.append(str(error))
            raise
        with secure:
            with self._lock:
                self.agreed.append(
                    {
                        "version": secure.version(),
                        "name": getattr(secure, "asked_for", None),
                        "alpn": secure.selected_alpn_protocol(),
                        "resumed": secure.session_reused,
                        "certificate": secure.getpeercert(),
                    }
                )
            super()._converse(secure, origin)
