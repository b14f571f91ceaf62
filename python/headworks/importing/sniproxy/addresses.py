"""Addresses of a sniproxy.conf: IP, ``unix:PATH``, host names and ``*``, each with a port or without.

Owns what sniproxy takes for an address and for a number. Must never resolve a name.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from headworks.importing.sniproxy.tree import Address, Form

_NUMBER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf(inity)?|nan)", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_LONGEST_NAME = 255
_LONGEST_SOCKET = 107
_MOST = 65535


class AddressError(ValueError):
    """A word that is no address. The message can follow the word itself."""


def is_number(word: str) -> bool:
    """Whether sniproxy takes a word for a number, and so for a port: as strtod does."""
    return _NUMBER.fullmatch(word.strip()) is not None


def port_of(word: str) -> int:
    """Return the port that a number means. Raises AddressError."""
    if not re.fullmatch(r"\d{1,5}", word, re.ASCII):
        raise AddressError(f'"{word}" is no port: a whole number from 1 to {_MOST}')
    if not 1 <= int(word) <= _MOST:
        raise AddressError(f"{word} is no port: ports go from 1 to {_MOST}")
    return int(word)


def address_of(word: str) -> Address:
    """Read an address. Raises AddressError."""
    if word.startswith("unix:"):
        return _unix(word.removeprefix("unix:"))
    if word.startswith("["):
        return _bracketed(word)
    if (address := _ip(word)) is not None:
        return Address(Form.IP, address)
    host, colon, port = word.rpartition(":")
    if not colon:
        host, port = word, ""
    number = port_of(port) if colon else 0
    if host == "*":
        return Address(Form.ASKED, "*", number)
    if (address := _ip(host)) is not None:
        return Address(Form.IP, address, number)
    return Address(Form.NAME, _name(host, word), number)


def _unix(path: str) -> Address:
    if not path:
        raise AddressError("the path of the socket is missing")
    if len(path.encode(errors="surrogateescape")) > _LONGEST_SOCKET:
        raise AddressError(f"the path of a socket has at most {_LONGEST_SOCKET} bytes")
    return Address(Form.UNIX, path)


def _bracketed(word: str) -> Address:
    inside, closed, rest = word[1:].partition("]")
    address = _ip(inside)
    if not closed or address is None or ":" not in address:
        raise AddressError(f'"{word}" is no IPv6 address in brackets')
    return Address(Form.IP, address, port_of(rest[1:]) if rest.startswith(":") else 0)


def _ip(text: str) -> str | None:
    try:
        found: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else str(found)


def _name(host: str, word: str) -> str:
    bare = host.removesuffix(".")
    if not 0 < len(host) <= _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in bare.split(".")):
        raise AddressError(f'"{word}" is neither an IP address, nor unix:PATH, nor a host name')
    if re.fullmatch(r"[\d.]+", bare) and "." in bare:
        raise AddressError(f'"{word}" is no IP address, and hardly a host name')
    return bare.lower()
