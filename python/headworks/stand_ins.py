"""Stand-ins: what the engine has in its lists of servers in the place of whatever a provider finds.

Owns their addresses. A stand-in keeps the place of what is written, gets no connections, and is taken away as soon as
the engine runs. Must never be shown to anybody: notices and explanations name what is written.
"""

from dataclasses import replace

from headworks.notice import Notice

_HOST = "127.255.255.254"
"""An address of this machine that nobody uses."""
_FIRST = 10_000
"""The port of the first one."""


def stand_in(number: int) -> str:
    """Return the address of the one in the place of this number."""
    return f"{_HOST}:{_FIRST + number}"


def is_stand_in(address: str) -> bool:
    """Whether an address is that of a stand-in."""
    return address.startswith(f"{_HOST}:")


def without_stand_ins(notice: Notice) -> Notice | None:
    """Return a notice as others are told it; None where it is of stand-ins alone."""
    if notice.kind != "servers_changed":
        return notice
    told = {key: _others(value) for key, value in notice.facts.items() if key in ("added", "removed")}
    return replace(notice, facts={**notice.facts, **told}) if any(told.values()) else None


def _others(addresses: object) -> list[str]:
    listed = addresses if isinstance(addresses, list) else []
    return [one for one in listed if not is_stand_in(str(one))]
