"""Sampling: a share of keys, the same ones every time, in every process and in compiled rules.

Must never use Python's own hash, which differs from process to process.
"""

from ipaddress import IPv4Address, IPv6Address

_ALL = (1 << 64) - 1
_MILLION = 1_000_000


def sample(percent: float, key: str | int | IPv4Address | IPv6Address | None) -> bool:
    """Whether ``key`` is among the ``percent`` (0 to 100, in steps of 0.0001) of keys that are chosen. None never is.

    The same keys are chosen every time and everywhere. Raises ValueError for less than 0 or more than 100.
    """
    return key is not None and hashed(str(key)) % _MILLION < millionths(percent)


def millionths(percent: float) -> int:
    """Return a share in millionths. Raises ValueError when it is not between 0 and 100."""
    if not 0 <= percent <= 100:  # noqa: PLR2004  (percent)
        raise ValueError(f"{percent} is not between 0 and 100 percent")
    return round(percent * 10_000)


def hashed(key: str) -> int:
    """Return FNV-1a of 64 bits of the key, mixed so that low digits depend on all of it."""
    value = 0xCBF29CE484222325
    for byte in key.encode("ascii", "surrogateescape"):
        value = (value ^ byte) * 0x100000001B3 & _ALL
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & _ALL
    return value ^ value >> 33
