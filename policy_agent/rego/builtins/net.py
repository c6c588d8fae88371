"""OPA's `net` built-ins.

Source: OPA v1.22 v1/topdown/cidr.go and net.go.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Final

from policy_agent.rego.builtins.networks import (
    Network,
    classful_network,
    merge,
    parse_address,
    parse_network,
)
from policy_agent.rego.builtins.nondeterminism import once
from policy_agent.rego.builtins.operands import need_string
from policy_agent.rego.builtins.registry import ELEMENT_SIZE, Builtin, BuiltinError, check_size
from policy_agent.rego.context import Context
from policy_agent.rego.values import RegoSet, Value, ordered_keys, thaw

_CHECK_EVERY: Final = 4096


def _network(value: Value) -> Network:
    # OPA numbers both operands 1.
    text = need_string(value, 1)
    network = parse_network(text)
    if network is None:
        raise BuiltinError(f"invalid CIDR address: {text}")
    return network


def _intersects(one: Value, two: Value) -> Value:
    left, right = _network(one), _network(two)
    return right.first in left or left.first in right


def _contains(cidr: Value, other: Value) -> Value:
    outer = _network(cidr)
    text = need_string(other, 1)
    address = parse_address(text)
    if address is not None:
        return address in outer
    inner = parse_network(text)
    if inner is None:
        raise BuiltinError(f"not a valid textual representation of an IP address or CIDR: {text}")
    return inner.first in outer and inner.last in outer


def _entries(operand: Value, position: int) -> Iterable[tuple[Value, Value]]:
    """Yield (CIDR or address, index) for what an operand of `net.cidr_contains_matches` lists."""
    if type(operand) is str:
        yield operand, operand
    elif type(operand) is list:
        for index, item in enumerate(operand):
            yield _match_term(item, position), index
    elif type(operand) is RegoSet:
        for item in operand:
            yield _match_term(item, position), item
    elif type(operand) is dict:
        for key in ordered_keys(operand):
            yield _match_term(operand[key], position), thaw(key)


def _match_term(item: Value, position: int) -> Value:
    if type(item) is str:
        return item
    if type(item) is list and item:
        return item[0]
    raise BuiltinError(f"operand {position}: element must be string or non-empty array")


def _contains_matches(cidrs: Value, others: Value) -> Value:
    return RegoSet.of(
        [index, other_index]
        for cidr, index in _entries(cidrs, 1)
        for other, other_index in _entries(others, 2)
        if _contains(cidr, other)
    )


def _expand(context: Context, cidr: Value) -> Value:
    network = _network(cidr)
    kind = type(network.address)
    check_size((int(network.last) - int(network.first)) * ELEMENT_SIZE)
    members = {}
    for number in range(int(network.first), int(network.last) + 1):
        if number % _CHECK_EVERY == 0:
            context.check()
        text = str(kind(number))
        members[text] = text
    return RegoSet(members)


def _is_valid(cidr: Value) -> Value:
    return type(cidr) is str and parse_network(cidr) is not None


def _merge(operand: Value) -> Value:
    if type(operand) is not list and type(operand) is not RegoSet:
        raise BuiltinError("operand must be an array")
    return RegoSet.of(merge([_mergeable(item) for item in operand]))


def _mergeable(item: Value) -> Network:
    if type(item) is not str:
        raise BuiltinError("element must be string")
    address = parse_address(item)
    if address is None:
        return _network(item)
    if not isinstance(address, IPv4Address):
        raise BuiltinError("IPv6 invalid: needs prefix length")
    return classful_network(address)


def check_host(context: Context, host: str) -> None:
    """Refuse a host that policies may not reach.

    Raises:
        BuiltinError: `allow_net` is set and does not have it.
    """
    if context.allow_net is not None and host not in context.allow_net:
        raise BuiltinError(f"disallowed host: {host}")


def _lookup(context: Context, name: Value) -> Value:
    host = need_string(name, 1)
    check_host(context, host)
    return once(context, "net.lookup_ip_addr", [host], lambda: _addresses(host))


def _addresses(host: str) -> RegoSet:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise BuiltinError(f"lookup {host}: no such host") from exc
    return RegoSet.of(str(entry[4][0]) for entry in found)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("net.cidr_contains", _contains),
        Builtin("net.cidr_contains_matches", _contains_matches),
        Builtin("net.cidr_expand", _expand, needs_context=True),
        Builtin("net.cidr_intersects", _intersects),
        Builtin("net.cidr_is_valid", _is_valid),
        Builtin("net.cidr_merge", _merge),
        Builtin("net.cidr_overlap", _contains),
        Builtin("net.lookup_ip_addr", _lookup, deterministic=False, needs_context=True),
    )
}
