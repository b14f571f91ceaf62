"""One port for several protocols: the first bytes say which."""

import headworks
from headworks.analyzers.connection import Connection

POSTGRES = (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\x00\x03\x00\x00")
"""SSLRequest, and the version in a StartupMessage behind its length."""


class Ports(headworks.Analyzer):
    """Routes SSH, PostgreSQL and TLS to where they belong; everything else goes where the listener says."""

    def first_bytes(self, connection: Connection, held: memoryview) -> headworks.Verdict | None:
        """Decide as soon as the bytes suffice."""
        if len(held) < 8:
            # One byte tells TLS, whose clients may send few at first.
            return headworks.route("secure") if held[0] == 0x16 else headworks.wait(need=8)
        begun = bytes(held[:8])
        if begun.startswith(b"SSH-"):
            return headworks.route("ssh")
        if begun == POSTGRES[0] or begun[4:] == POSTGRES[1]:
            return headworks.route("postgres")
        return headworks.route("secure") if begun[0] == 0x16 else None
