"""Networks: a set of IP networks to ask addresses about: ``request.client in OFFICE``.

Must never hold what core would not take: bits behind a prefix are an error here, too.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_MAPPED = IPv6Network("::ffff:0:0/96")


class Networks:
    """IP networks. No address (None) is in none of them; an IPv4-mapped address is IPv4."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self.networks = tuple(map(_canonical, networks))

    def __contains__(self, address: object) -> bool:
        """Whether an address is inside of one of them."""
        if address is None:
            return False
        if not isinstance(address, (IPv4Address, IPv6Address)):
            raise TypeError(f"addresses are in networks, and this is {type(address).__name__}")
        known = canonical(address)
        return any(known.version == one.version and known in one for one in self.networks)

    def __iter__(self) -> Iterator[Network]:
        """Give each of them."""
        return iter(self.networks)

    def __len__(self) -> int:
        """Count them."""
        return len(self.networks)

    def __repr__(self) -> str:
        """Show how it is made."""
        return f"headworks.networks({', '.join(repr(str(one)) for one in self.networks)})"


def networks(*written: str | Network) -> Networks:
    """Return the networks ``"10.0.0.0/8"``, ``"2001:db8::/32"``, ``"192.0.2.7"``. Raises ValueError."""
    return Networks(tuple(ip_network(one) if isinstance(one, str) else one for one in written))


def canonical(address: Address) -> Address:
    """Return an IPv4-mapped address as IPv4 (RFC 4291, section 2.5.5.2), as core has it."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _canonical(network: Network) -> Network:
    """Return a network of IPv4-mapped addresses as IPv4 (RFC 4291, section 2.5.5.2), as core has it."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return network if mapped is None else IPv4Network((int(mapped), network.prefixlen - _MAPPED.prefixlen))
    return network
