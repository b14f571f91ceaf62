"""Words that choose: keywords and their beginnings, levels and facilities of logs, modes of the resolver, yes and no.

Of several that a beginning fits, the first one is meant, in the order of the lists here, which is sniproxy's.
"""

from collections.abc import Sequence

GLOBAL = ("username", "groupname", "pidfile", "resolver", "error_log", "access_log", "listener", "table")
LISTENER = ("protocol", "reuseport", "ipv6_v6only", "table", "fallback", "source", "access_log", "bad_requests")
LOG = ("filename", "syslog", "priority")
RESOLVER = ("nameserver", "search", "mode")

LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
MODES = ("default", "ipv4_only", "ipv6_only", "ipv4_first", "ipv6_first")
FACILITIES = (
    "auth",
    "cron",
    "daemon",
    "ftp",
    *(f"local{number}" for number in range(8)),
    "mail",
    "news",
    "user",
    "uucp",
)
YES = ("yes", "true", "on")
NO = ("no", "false", "off")


def keyword(written: str, known: Sequence[str]) -> str | None:
    """Return the keyword that a word stands for: itself or any beginning of it, in its own case."""
    return next((name for name in known if name.startswith(written)), None)


def chosen(written: str, known: Sequence[str]) -> str | None:
    """Return what a word stands for, in any case."""
    return keyword(written.lower(), known)


def truth(written: str) -> bool | None:
    """Return what yes or no a word is; None when it is none."""
    lowered = written.lower()
    return True if lowered in YES else False if lowered in NO else None
