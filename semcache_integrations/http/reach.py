"""What an IP address leads to: the public Internet, one's own network, or where no provider lives.

The law: an address inside another one is judged by both, and what no table knows is not public.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = "IPv4Address | IPv6Address"


class Reach(IntEnum):
    """What an address leads to; a host may have those up to the reach that it is trusted with."""

    PUBLIC = 0
    WRAPPED = 1  # a public IPv4 address inside an IPv6 one: a tunnel or a translator decides where it leads
    OWN = 2  # loopback, private networks, carrier-grade NAT
    NEVER = 3  # metadata services, link-local, multicast, unspecified, reserved


# Tables of our own: what `ipaddress` calls private differs between the patch releases of one Python.
_V4: Final = tuple(
    (ip_network(network), reach)
    for network, reach in (
        ("100.100.100.200/32", Reach.NEVER),  # Alibaba's metadata service
        ("168.63.129.16/32", Reach.NEVER),  # Azure's platform address
        ("10.0.0.0/8", Reach.OWN),
        ("100.64.0.0/10", Reach.OWN),
        ("127.0.0.0/8", Reach.OWN),
        ("172.16.0.0/12", Reach.OWN),
        ("192.168.0.0/16", Reach.OWN),
        ("198.18.0.0/15", Reach.OWN),
        ("0.0.0.0/8", Reach.NEVER),
        ("169.254.0.0/16", Reach.NEVER),
        ("192.0.0.0/24", Reach.NEVER),
        ("192.0.2.0/24", Reach.NEVER),
        ("192.88.99.0/24", Reach.NEVER),
        ("198.51.100.0/24", Reach.NEVER),
        ("203.0.113.0/24", Reach.NEVER),
        ("224.0.0.0/3", Reach.NEVER),
        ("0.0.0.0/0", Reach.PUBLIC),
    )
)
_V6: Final = tuple(
    (ip_network(network), reach)
    for network, reach in (
        ("::1/128", Reach.OWN),
        ("fd00:ec2::/32", Reach.NEVER),  # Amazon's metadata and name services
        ("fd20:ce::254/128", Reach.NEVER),  # Google's
        ("fc00::/7", Reach.OWN),
        ("2001::/23", Reach.NEVER),  # Teredo and other protocols
        ("2001:db8::/32", Reach.NEVER),
        ("3fff::/20", Reach.NEVER),
        ("2000::/3", Reach.PUBLIC),
        ("::/0", Reach.NEVER),
    )
)
# Where an IPv6 network carries an IPv4 address: how many bits stand to the right of it.
_WRAPPING: Final = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # mapped
        ("::ffff:0:0:0/96", 0),  # translated
        ("64:ff9b::/96", 0),  # NAT64
        ("2002::/16", 80),  # 6to4
    )
)


def address_of(host: str) -> Address | None:
    """Return the address that a host in its usual spelling is; None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def reach_of(address: Address) -> Reach:
    """Return what an address leads to."""
    if isinstance(address, IPv4Address):
        return _listed(address, _V4)
    if address.scope_id is not None:
        return Reach.NEVER
    for network, shift in _WRAPPING:
        if address in network:
            inner = IPv4Address(int(address) >> shift & 0xFFFF_FFFF)
            return max(Reach.WRAPPED, reach_of(inner))
    return _listed(address, _V6)


def _listed(address: Address, table: Sequence[tuple[IPv4Network | IPv6Network, Reach]]) -> Reach:
    return next(reach for network, reach in table if address in network)
