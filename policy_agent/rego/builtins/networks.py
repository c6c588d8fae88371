"""IP networks with the rules of Go's `net` package.

Pure. An IPv4 address written as IPv6 (`::ffff:1.2.3.4`) is that IPv4 address, as in Go.
"""

from __future__ import annotations

from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv6Address,
    summarize_address_range,
)
from typing import Final

from msgspec import Struct

Address = IPv4Address | IPv6Address
_V4_MAPPED: Final = 0xFFFF << 32
_MAX_PREFIX_DIGITS: Final = 6


class Network(Struct, frozen=True):
    """A network, or one address with a prefix length.

    Attributes:
        address: as written; `first` is what the prefix leaves of it.
        prefix: the number of leading bits that all members share.
    """

    address: Address
    prefix: int

    @property
    def _host_bits(self) -> int:
        return self.address.max_prefixlen - self.prefix

    @property
    def first(self) -> Address:
        """The lowest address."""
        bits = int(self.address) >> self._host_bits << self._host_bits
        return type(self.address)(bits)

    @property
    def last(self) -> Address:
        """The highest address."""
        return type(self.address)(int(self.address) | (1 << self._host_bits) - 1)

    def __contains__(self, address: Address) -> bool:
        if type(address) is not type(self.address):
            return False
        return int(self.first) <= int(address) <= int(self.last)

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


def parse_address(text: str) -> Address | None:
    """Return the address that a text writes, None if it is none."""
    address = _written(text)
    return None if address is None else _plain(address)


def _written(text: str) -> Address | None:
    try:
        if "%" in text or "/" in text:
            return None
        return IPv6Address(text) if ":" in text else IPv4Address(text)
    except AddressValueError:
        return None


def _plain(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network | None:
    """Return the network that a text in CIDR notation writes, host bits cleared; None if none."""
    host, slash, length = text.partition("/")
    address = _written(host)
    if address is None or not slash or not (length.isascii() and length.isdigit()):
        return None
    # Go gives up on longer numbers.
    prefix = int(length[:_MAX_PREFIX_DIGITS])
    if prefix > address.max_prefixlen or len(length) > _MAX_PREFIX_DIGITS:
        return None
    first = Network(address, prefix).first
    plain = _plain(first)
    return Network(plain, max(prefix - (first.max_prefixlen - plain.max_prefixlen), 0))


def classful_network(address: IPv4Address) -> Network:
    """Return an IPv4 address with the prefix length of its class, as Go's DefaultMask has it."""
    top = int(address) >> 24
    return Network(address, 8 if top < 0x80 else 16 if top < 0xC0 else 24)


def _position(address: Address) -> int:
    """Return an address's place among all addresses, IPv4 ones as the IPv6 ones they map to."""
    return int(address) | _V4_MAPPED if isinstance(address, IPv4Address) else int(address)


def merge(networks: list[Network]) -> list[str]:
    """Return the fewest networks that cover the same addresses; one that meets no other stays."""
    ranges = sorted(
        ((_position(each.last), _position(each.first), [each]) for each in networks),
        key=lambda item: item[:2],
    )
    merged: list[tuple[int, int, list[Network]]] = []
    for last, first, members in ranges:
        while merged and _before(first) <= merged[-1][0]:
            _, earlier_first, earlier = merged.pop()
            first, members = min(first, earlier_first), [*earlier, *members]
        merged.append((last, first, members))
    texts: list[str] = []
    for last, first, members in merged:
        if len(members) == 1:
            texts.append(str(members[0]))
        else:
            low, high = IPv6Address(first), IPv6Address(last)
            if low.ipv4_mapped and high.ipv4_mapped:
                texts += map(str, summarize_address_range(low.ipv4_mapped, high.ipv4_mapped))
            else:
                texts += map(str, summarize_address_range(low, high))
    return texts


def _before(position: int) -> int:
    """Return the place before one; the lowest address of either family has none."""
    return position if position in (0, _V4_MAPPED) else position - 1
