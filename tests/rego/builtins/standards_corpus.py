# ruff: noqa: E501, E741, N806, N817, PERF401 - tables read best on long lines with short names
"""Calls of built-ins for time, networks, versions, digests, tokens, schemas and GraphQL."""

import itertools
import json
from typing import Any

from policy_agent.number import Number as N
from policy_agent.rego.builtins.jwt import BUILTINS as JWT
from policy_agent.rego.values import RegoSet
from tests.rego.builtins.oracle import Call


def _calls(rows):
    return [Call(name, tuple(operands)) for name, *operands in rows]


def plain():
    """Time, networks, versions, UUIDs, digests and AWS signatures."""
    T = 1_700_000_000_123_456_789
    L: list[Any] = [
        "2006-01-02",
        "Mon Jan _2 15:04:05 MST 2006",
        "RFC3339",
        "RFC3339Nano",
        "ANSIC",
        "UnixDate",
        "RubyDate",
        "RFC822",
        "RFC822Z",
        "RFC850",
        "RFC1123",
        "RFC1123Z",
        "3:04PM pm .000 ,999 002 __2 _2006 06 1 2 4 5 Z07 -07:00:00 Z070000 January Janx Monday Monx",
        "15.000000000000",
        "2006-002",
    ]
    calls: list[Any] = []
    for z in [
        "",
        "UTC",
        "America/New_York",
        "Asia/Kolkata",
        "Europe/Paris",
        "Africa/Monrovia",
        "America/Sao_Paulo",
        "Local",
    ]:
        for t in [
            T,
            0,
            -1,
            -(9e18).__int__(),
            -5_000_000_000_000_000_000,
            9_000_000_000_000_000_000,
            -2_000_000_000_000_000_000,
        ]:
            for l in L[:3] if t != T else L:
                calls.append(("time.format", [t, z, l]))
            calls += [
                ("time.date", [t, z]),
                ("time.clock", [t, z]),
                ("time.weekday", [t, z]),
                ("time.add_date", [t, z], 1, 2, 3),
                ("time.add_date", [t, z], -1, -14, -40),
                ("time.diff", [t, z], T),
                ("time.diff", T, [t, z]),
            ]
    calls += [
        ("time.format", x)
        for x in (
            [],
            ["a"],
            [1, 2],
            [1, "UTC", 3],
            "x",
            None,
            [1, "Mars/X"],
            [1, "../x"],
            [1, "/etc"],
            [2**63, "UTC"],
            N("1.5"),
            N("1e3"),
            [N("1.0")],
            2**63,
            -(2**63),
            [1, "a\\b"],
            [1, "us/eastern"],
        )
    ]
    calls += [
        ("time.add_date", 0, x, 0, 0) for x in (N("1.0"), N("1.5"), "a", 300, -300, 2**40, 2**63)
    ]
    P: list[Any] = [
        ("2006-01-02", "2020-02-30"),
        ("2006-01-02", "2020-02-29"),
        ("2006-01-02", "20-02-29"),
        ("2006-01-02", "2020-13-29"),
        ("2006-01-02", "2020-1-29"),
        ("2006-1-2", "2020-1-9x"),
        ("RFC3339", "2020-01-01T00:00:00Z"),
        ("RFC3339", "2020-01-01T00:00:00.123456789123+02:00"),
        ("RFC3339", "2020-01-01T25:00:00Z"),
        ("RFC3339", "2020-01-01T23:60:00Z"),
        ("RFC3339", "2020-01-01T23:59:60Z"),
        ("RFC3339", "2020-01-01 23:59:00Z"),
        ("RFC3339", ""),
        ("RFC3339", "2020-01-01T00:00:00+25:00"),
        ("RFC3339", "2020-01-01T00:00:00+24:61"),
        ("RFC3339", "2020-01-01T0:00:00Z"),
        ("RFC3339", "2020-01-01T00:00:00,5Z"),
        ("RFC3339", "0001-01-01T00:00:00Z"),
        ("RFC3339", "0000-01-01T00:00:00Z"),
        ("RFC3339", "9999-01-01T00:00:00Z"),
        ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
        ("RFC1123", "Mon, 02 Jan 2006 15:04:05 GMT+3"),
        ("RFC1123", "mon, 02 jan 2006 15:04:05 UTC"),
        ("RFC1123", "Mon, 02 Jan 2006 15:04:05 X"),
        ("RFC1123", "Mon, 02 Jan 2006 15:04:05 WITA"),
        ("RFC1123", "Mon, 02 Jan 2006 15:04:05 +03"),
        ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
        ("RFC850", "Monday, 02-Jan-06 15:04:05 CEST"),
        ("RFC850", "Monday, 02-Jan-70 15:04:05 EST"),
        ("ANSIC", "Mon Jan  2 15:04:05 2006"),
        ("ANSIC", "Mon Jan 12 15:04:05 2006"),
        ("UnixDate", "Mon Jan  2 15:04:05 PST 2006"),
        ("RubyDate", "Mon Jan 02 15:04:05 -0700 2006"),
        ("RFC822", "02 Jan 06 15:04 MST"),
        ("3:04PM", "3:04PM"),
        ("3:04PM", "12:04AM"),
        ("3:04PM", "13:04AM"),
        ("3:04pm", "3:04pm"),
        ("3:04pm", "3:04PM"),
        ("2006-002", "2020-366"),
        ("2006-002", "2021-366"),
        ("2006-002 01", "2021-031 02"),
        ("2006-002 2", "2021-031 2"),
        ("2006 __2", "2021   1"),
        ("2006 __2", "2021 360"),
        ("2006-01-02 15:04:05.000", "2020-01-01 00:00:00.123"),
        ("2006-01-02 15:04:05.000", "2020-01-01 00:00:00.12"),
        ("2006-01-02 15:04:05.000", "2020-01-01 00:00:00.1234"),
        ("2006-01-02 15:04:05.999", "2020-01-01 00:00:00.1234"),
        ("2006-01-02 15:04:05.999", "2020-01-01 00:00:00"),
        ("2006-01-02 15:04:05", "2020-01-01 00:00:00.5"),
        ("2006-01-02Z0700", "2020-01-01+0100"),
        ("2006-01-02Z07", "2020-01-01-01"),
        ("2006-01-02Z07:00:00", "2020-01-01-01:02:03"),
        ("2006-01-02-07:00:00", "2020-01-01-01:02"),
        ("2006-01-02Z070000", "2020-01-01-010203"),
        ("2006-01-02 -07", "2020-01-01 x07"),
        ("January 2, 2006", "march 3, 2021"),
        ("January 2, 2006", "marc 3, 2021"),
        ("é2006", "é2020"),
        ("é2006", "e2020"),
        ("2006", '20"0'),
        ("2006  x", "2020 x"),
        ("2006 x", "2020"),
        ("06", "-1"),
        ("06", "+1"),
        ("2006", "2+20"),
        ("2006-01-02", "1677-09-21"),
        ("2006-01-02", "1677-09-20"),
        ("2006-01-02", "2262-04-12"),
        ("2006-01-02", "2020-00-10"),
        ("", ""),
        ("", "x"),
        ("foo", "foo"),
    ]
    calls += [("time.parse_ns", *p) for p in P]
    calls += [("time.parse_rfc3339_ns", p[1]) for p in P]
    calls += [
        ("time.parse_duration_ns", d)
        for d in [
            "1h",
            "1h30m",
            "-1.5h",
            "",
            "0",
            "+0",
            "-",
            "+",
            "1",
            "1x",
            "1.h",
            ".5s",
            ".s",
            "1.2.3s",
            "1d",
            "1w",
            "1y",
            "1.5d",
            "1d1h",
            "-1d",
            "1dd",
            "1d1",
            "1dx",
            "d",
            "1ms1us1ns1µs1μs",
            "2562047h47m16.854775807s",
            "2562047h47m16.854775808s",
            "-2562047h47m16.854775808s",
            "9999999999h",
            "1y2w3d4h5m6s7ms",
            "1.2.3d",
            "0.1d",
            "300y",
            "1e3s",
            "1 h",
            "1h ",
            "é",
            "0.3333333333333333333h",
            "1dµs",
            "3µsd",
            "-.d",
            "1D",
        ]
    ]
    calls += [
        ("time.parse_duration_ns", 1),
        ("time.parse_ns", 1, "a"),
        ("time.parse_ns", "a", 1),
        ("time.parse_rfc3339_ns", None),
    ]
    U: list[Any] = [
        "00000000-0000-0000-0000-000000000000",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
        "6ba7b8109dad11d180b400c04fd430c8",
        "x",
        "000003e8-f2a5-21ec-8200-325096b39f47",
        "000003e8-f2a5-21ec-8203-325096b39f47",
        "ffffffff-ffff-1fff-ffff-ffffffffffff",
        "f81d4fae-7dec-41d0-c765-00a0c91e6bf6",
        "f81d4fae-7dec-41d0-0765-00a0c91e6bf6",
        "f81d4fae-7dec-41d0-g765-00a0c91e6bf6",
        "00000000-0000-1000-8000-010000000000",
        "00000000-0000-1000-8000-030000000000",
    ]
    calls += [("uuid.parse", u) for u in U] + [("uuid.parse", 1)]
    V: list[Any] = [
        "1.2.3",
        "v1.2.3",
        "1.2",
        "1.2.3-alpha",
        "1.2.3-alpha.1",
        "1.2.3-alpha.2",
        "1.2.3-1",
        "1.2.3-01",
        "1.2.3-a.01",
        "1.2.3+b",
        "1.2.3+",
        "1.2.3-",
        "1.2.3-a+b.c",
        "1.2.3-a..b",
        "01.2.3",
        "1.2.3.4",
        "",
        "9223372036854775808.0.0",
        "9223372036854775807.0.0",
        "1.2.3-99999999999999999999",
        "1.2.3-99999999999999999998",
        "1.2.3-a-b",
        "1.2.3+a-b",
        "1.2.3-alpha.beta",
        "1.2.3\n",
        "1.2.3-é",
        '1.2.3"',
    ]
    calls += (
        [("semver.is_valid", v) for v in V]
        + [("semver.is_valid", 1)]
        + [("semver.compare", a, b) for a in V for b in V[:14]]
        + [("semver.compare", 1, "a"), ("semver.compare", "a", 1)]
    )
    C: list[Any] = [
        "10.0.0.0/8",
        "10.1.2.3/16",
        "10.1.2.3/32",
        "0.0.0.0/0",
        "::/0",
        "2001:db8::/32",
        "2001:db8::1/128",
        "::ffff:10.0.0.0/104",
        "::ffff:10.0.0.0/95",
        "::ffff:10.0.0.1/128",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.0",
        "10.1.2.3",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0/64",
        "fe80::1%eth0",
        "010.0.0.0/8",
        "1.2.3.4/08",
        "1.2.3.4/",
        "1.2.3.4/+8",
        "a",
        "",
        "192.168.1.5",
        "200.1.1.1",
        "172.16.0.1",
        "255.255.255.255/32",
        "1::2::3/8",
        "2001:db8::/129",
        "ffff::/16",
    ]
    for n in ("net.cidr_contains", "net.cidr_intersects"):
        calls += [(n, a, b) for a in C for b in C]
    calls += [("net.cidr_is_valid", c) for c in C] + [("net.cidr_is_valid", 1)]
    calls += [
        ("net.cidr_expand", c)
        for c in [
            "10.0.0.0/30",
            "10.0.0.3/31",
            "::ffff:10.0.0.0/126",
            "2001:db8::/126",
            "255.255.255.254/31",
            "x",
            1,
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126",
            "::/126",
        ]
    ]
    calls += [("net.cidr_merge", [a]) for a in C] + [
        ("net.cidr_merge", list(p))
        for p in itertools.combinations(
            [
                c
                for c in C
                if c not in ("10.0.0.0/33", "10.0.0/8", "a", "")
                and "%" not in c
                and "ffff:10" not in c
            ],
            2,
        )
    ]
    calls += [
        ("net.cidr_merge", x)
        for x in (
            [],
            RegoSet.of([]),
            RegoSet.of(["10.0.0.0/24", "10.0.1.0/24"]),
            ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.4.0/22"],
            "x",
            1,
            [1],
            {"a": "b"},
            ["192.0.128.0/24", "192.0.129.0/24"],
            ["2601:600:8a80:207e:a57d:7567:e2c9:e7b3/64", "2601:600:8a80:207e::/64"],
            ["::/128", "::1/128"],
            ["0.0.0.0/32", "0.0.0.1/32"],
            ["255.255.255.255/32", "255.255.255.254/32"],
            ["10.0.0.0/8", "10.1.0.0/16"],
        )
    ]
    calls += [
        ("net.cidr_contains_matches", *x)
        for x in [
            ("10.0.0.0/8", "10.1.1.1"),
            (["10.0.0.0/8", "11.0.0.0/8"], ["10.1.1.1", "11.0.0.1/32"]),
            ({"a": "10.0.0.0/8"}, RegoSet.of(["10.0.0.1", "12.0.0.1"])),
            ([["10.0.0.0/8", "x"]], ["10.0.0.1"]),
            ([[]], ["a"]),
            (["10.0.0.0/8"], [1]),
            (["10.0.0.0/8"], [[1]]),
            ({"a": 1}, "x"),
            (1, 2),
            ("x", "y"),
            ("10.0.0.0/8", []),
        ]
    ]
    calls += [(f"crypto.{n}", x) for n in ("md5", "sha1", "sha256") for x in ("", "é", 1)]
    calls += [
        (f"crypto.hmac.{n}", *x)
        for n in ("md5", "sha1", "sha256", "sha512", "equal")
        for x in (("", ""), ("é", "k"), (1, "a"), ("a", 1))
    ]
    R: dict[str, Any] = {
        "method": "get",
        "url": "https://h.example.com:8443/a b/%41é/x?b=1&a=2#f",
        "headers": {"X-A": "b", "User-Agent": "u", "z": 1},
        "body": {"a": "<>"},
    }
    K: dict[str, Any] = {
        "aws_access_key": "AK",
        "aws_secret_access_key": "SK",
        "aws_region": "us-east-1",
        "aws_service": "s3",
    }
    calls += [
        ("providers.aws.sign_req", *x)
        for x in [
            (R, K, T),
            (R, {**K, "aws_session_token": "tok", "aws_service": "ec2"}, T),
            ({**R, "raw_body": "x", "url": "http://h/%41%zz"}, K, T),
            ({**R, "raw_body": "x", "url": "http://h/a%20b"}, K, T),
            ({"method": "GET", "url": "https://u:p@h"}, K, T),
            ({"method": "GET", "url": "h/x"}, K, T),
            (1, K, T),
            (R, 1, T),
            (R, K, "x"),
            (R, K, N("1.5")),
            (R, K, 2**70),
            (R, {}, T),
            (R, {**K, "aws_region": 1}, T),
            ({}, K, T),
            ({**R, "zz": 1, "yy": 2}, K, T),
            ({**R, "url": 1, "method": 2}, K, T),
            ({**R, "headers": 1}, K, T),
            (R, {**K, "disable_payload_signing": 1}, T),
            (R, {**K, "disable_payload_signing": True}, T),
            (R, K, -1),
        ]
    ]
    return _calls(calls)


def schemas():
    """JSON Schema; no document has two problems that Go finds in random order."""
    S: list[Any] = [
        {},
        {"type": "string"},
        {"type": ["string", "null"]},
        {"type": "integer"},
        {"type": "number", "minimum": 2, "maximum": 5},
        {"minimum": 2, "exclusiveMinimum": True},
        {"exclusiveMinimum": 2},
        {"exclusiveMaximum": N("2.5")},
        {"multipleOf": N("0.1")},
        {"multipleOf": 1000000},
        {"maximum": -1234567},
        {"minLength": 2, "maxLength": 3},
        {"pattern": "^a"},
        {"enum": ["a", 1, N("2.50"), None, {"b": 1}]},
        {"const": 1},
        {
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "required": ["a", "c"],
            "additionalProperties": False,
        },
        {"additionalProperties": {"type": "integer"}},
        {"patternProperties": {"^a": {"type": "integer"}}},
        {"propertyNames": {"maxLength": 1}},
        {"minProperties": 2},
        {"maxProperties": 1},
        {"items": {"type": "integer"}},
        {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False},
        {"items": [{"type": "integer"}], "additionalItems": {"type": "string"}},
        {"minItems": 2},
        {"maxItems": 1},
        {"uniqueItems": True},
        {"contains": {"const": 1}},
        {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 10}]},
        {"oneOf": [{"type": "integer"}, {"minimum": 0}]},
        {
            "oneOf": [
                {"required": ["a"]},
                {"required": ["b"], "properties": {"b": {"type": "string"}}},
            ]
        },
        {"allOf": [{"type": "object"}, {"required": ["a"]}]},
        {"not": {"type": "string"}},
        {"if": {"type": "string"}, "then": {"minLength": 3}, "else": {"type": "integer"}},
        {"dependencies": {"a": ["b", "c"]}},
        {"dependencies": {"a": {"required": ["b"]}}},
        {"$ref": "#/definitions/x", "definitions": {"x": {"type": "string"}}},
        {
            "definitions": {
                "n": {
                    "type": "object",
                    "properties": {"a": {"$ref": "#/definitions/n"}},
                    "additionalProperties": False,
                }
            },
            "$ref": "#/definitions/n",
        },
        {"properties": {"a": {"$ref": "#"}}, "additionalProperties": False},
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "minimum": 2,
            "exclusiveMinimum": True,
        },
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "exclusiveMinimum": 2,
            "if": True,
            "then": False,
        },
    ]
    S += [
        {"properties": {"a": {"properties": {"b": {"items": {"type": "string"}}}}}},
        True,
        '{"type":"object"}',
        "{",
        1,
        None,
        [],
        {"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": 2},
        {"$schema": "http://json-schema.org/draft-07/schema#", "exclusiveMinimum": True},
        {"exclusiveMinimum": True},
        {"exclusiveMinimum": "a"},
        {"type": "x"},
        {"type": 1},
        {"type": [1]},
        {"type": ["string", "string"]},
        {"properties": 1},
        {"properties": {"a": 1}},
        {"additionalProperties": 1},
        {"patternProperties": 1},
        {"patternProperties": {"(": {}}},
        {"propertyNames": 1},
        {"dependencies": 1},
        {"dependencies": {"a": 1}},
        {"dependencies": {"a": [1]}},
        {"items": 1},
        {"items": [1]},
        {"additionalItems": 1},
        {"multipleOf": "a"},
        {"multipleOf": 0},
        {"minimum": "a"},
        {"maximum": "a"},
        {"minLength": "a"},
        {"minLength": -1},
        {"minLength": 3, "maxLength": 2},
        {"minLength": N("1.0")},
        {"pattern": "("},
        {"pattern": 1},
        {"format": 1},
        {"required": 1},
        {"required": [1]},
        {"required": ["a", "a"]},
        {"minProperties": 3, "maxProperties": 2},
        {"minItems": -1},
        {"minItems": 3, "maxItems": 2},
        {"uniqueItems": 1},
        {"enum": 1},
        {"enum": [1, N("1.0")]},
        {"enum": []},
        {"anyOf": 1},
        {"anyOf": [1]},
        {"not": 1},
        {"if": 1},
        {"then": 1},
        {"title": 1},
        {"description": 1},
        {"definitions": 1},
        {"definitions": {"a": 1}},
        {"$ref": 1},
        {"$ref": "#/definitions/x"},
        {"$ref": "#/a/b"},
        {"id": 1},
        {"$id": 1},
        {"contains": 1},
        {"properties": {"a": {"minimum": 1000000}}},
        {"properties": {"a": {"const": 1}}},
        {"minimum": N("0.00001")},
        {"minimum": N("1234567.5")},
        {"minimum": N("123456")},
    ]
    F: list[Any] = [
        "date",
        "time",
        "date-time",
        "hostname",
        "email",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "uri-template",
        "uuid",
        "regex",
        "json-pointer",
        "relative-json-pointer",
        "zz",
    ]
    D: list[Any] = [
        {},
        "x",
        1,
        {"a": 1},
        {"a": "x"},
        {"a": "x", "zz": 2},
        {"a": {"a": {}}},
        {"a": {"a": 1}},
        [1, "a"],
        [1, 1, N("1.0")],
        ["a"],
        [],
        None,
        True,
        N("2.5"),
        2,
        5,
        6,
        N("0.3"),
        "abcd",
        {"b": 1},
        {"a": {"b": [1]}},
        '"a"',
        "{}",
        '{"a":1}',
        '"abcd"',
        "1",
        "0.3",
        "true",
        "null",
        "2.50",
        "1.0",
        "12",
        "-5000000",
        '"b"',
    ]
    V: list[Any] = [
        '"2020-01-01"',
        '"12:00:00"',
        '"12:00:00Z"',
        '"2020-01-01T00:00:00Z"',
        '"a.b"',
        '"-a"',
        '"a@b.c"',
        '"A <a@b.c>"',
        '"a@"',
        '"1.2.3.4"',
        '"::1"',
        '"http://a/b"',
        '"a/b"',
        '"http://[::1"',
        '"%zz"',
        '"{a}"',
        '"{a"',
        '"123e4567-e89b-12d3-a456-426614174000"',
        '"("',
        '"/a/~0"',
        '"~"',
        '"0/a"',
        '""',
        "1",
        '"a b"',
        '":a"',
        '"http://a:x/"',
        '"a\\\\b"',
    ]
    calls = (
        [("json.verify_schema", s) for s in S]
        + [("json.match_schema", d, s) for s in S for d in D]
        + [("json.match_schema", v, {"format": f}) for f in F for v in V]
    )
    return _calls(calls)


def graphql():
    """GraphQL: trees, syntax errors and verdicts; sentences of the validator are not compared."""
    Q: list[Any] = [
        "{a}",
        'query q($a:[Int!]!=[1,2],$b:I={x:1.5e3,y:"s\\u00e9\\n",z:null,t:true,e:E}) @d(x:1) {x:a(b:$a,c:"""\n  b\n   c\n"""){...F @k ...on T{z} ... {y}}} fragment F on T @x {k}',
        "mutation {a}",
        "subscription s{a}",
        "",
        "{",
        "}",
        "{a",
        "{a(}",
        "{a()}",
        "{a(b:)}",
        "query",
        "query q",
        "fragment on on T{a}",
        "fragment F T{a}",
        "{...on}",
        "{a:}",
        "{a @}",
        '{"x"}',
        "{a(b:01)}",
        "{a(b:1.)}",
        "{a(b:-)}",
        "{a(b:1e)}",
        '{a(b:"x)}',
        '{a(b:"\\q")}',
        '{a(b:"\\u12")}',
        "{'a'}",
        "{a%}",
        "{a(b:$)}",
        "query($a:Int=$b){a}",
        "query($a){a}",
        "# c\n{a # d\n}",
        '{a(b:"""x\\"""y""")}',
        "notanop {a}",
        "{a}}",
        "..",
        "{a(b:[1 2 {c:d}])}",
        "{a b,c}",
        "query q() {a}",
        '{a(b:"é\\"")}',
        '{a(b:"")}',
        "{}",
        "{a{}}",
    ]
    Q += [
        "{\n# d\n a(# x\n b:# y\n [1 # z\n])}",
        "# q\nquery q(# v\n$a:Int){# s\n...F\n# i\n...{x}} # f\nfragment F on T{a}",
    ]
    S: list[Any] = [
        '# a\n"d" # b\n type Q { # c\n "f" # e\n a(# g\n x:Int):Int\n# end\n} # fin',
        "# x\nextend type Q{a:Int} # y\nschema{# z\nquery:Q # w\n}",
        "type Q {a:Int}",
        'schema {query:Q mutation:M} type Q{a(b:[I!]=[],c:Int=1 @x):[String!]! @deprecated(reason:"n")} type M implements A & B @d{a:Int}',
        '"d" type Q {"f" a("g" x:Int):Int}',
        '"""\n d\n  e\n""" enum E {A "x" B @d}',
        "input I {a:Int=1 b:E}",
        "union U=|A|B",
        "union U",
        "scalar S @x",
        "directive @d(a:Int=1) repeatable on |FIELD|QUERY",
        "directive @d on X",
        "interface I implements J{a:Int}",
        "extend type Q{a:Int}",
        "extend type Q",
        '"x" extend type Q{a:Int}',
        "extend schema{query:Q}",
        "extend schema",
        "extend union U=A",
        "extend enum E{A}",
        "extend input I{a:Int}",
        "extend scalar S @x",
        "extend scalar S",
        "extend interface I{a:Int}",
        "extend foo",
        "",
        "type",
        "type {",
        "type Q {}",
        "type Q {a}",
        "type Q {a(}",
        "enum E {}",
        "input I {a:Int=$x}",
        "foo",
        "}",
        "type Q implements {a:Int}",
        "type Q implements A B{a:Int}",
        "union U=",
        "union U=|",
        "type Q{a():Int}",
        "schema {x:Q}",
        "schema {}",
        "{a}",
        "type Q {a:Int} # c",
        '"x"',
        "type Q{a:[Int}",
        "directive d on FIELD",
        "directive @d FIELD",
        '"" type Q{a:Int}',
        "extend type Q @x",
    ]
    calls = (
        [("graphql.parse_query", q) for q in Q]
        + [("graphql.parse_schema", s) for s in S]
        + [("graphql.parse_query", 1), ("graphql.parse_schema", None)]
    )
    OK = "type Query {a(x:Int!,e:E):T b:[String] c:I u:U n:Int!} type T implements I {z:Int y(k:In):String k:Int t:T} interface I{z:Int} enum E{A B} input In{a:Int!,b:[In!]} union U=T|V type V{w:Int} directive @d(x:Int) on FIELD type Subscription{s:Int r:Int} type Mutation{m(i:In!):Int}"
    VQ: list[Any] = [
        "{b}",
        "{a(x:1){z}}",
        "{a{z}}",
        '{a(x:"s"){z}}',
        "{a(x:1){q}}",
        "{zz}",
        "{a(x:1)}",
        "{b{c}}",
        "{a(x:1,e:A){z}}",
        "{a(x:1,e:C){z}}",
        '{a(x:1,e:"A"){z}}',
        "query($v:Int!){a(x:$v){z}}",
        "query($v:Int){a(x:$v){z}}",
        "query($v:Int){b}",
        "{a(x:$v){z}}",
        "query q{b} query q{b}",
        "{b} {b}",
        "{b} query x{b}",
        "fragment F on T{z} {a(x:1){...F}}",
        "fragment F on T{z} {b}",
        "{a(x:1){...G}}",
        "fragment F on Zed{z} {a(x:1){...F}}",
        "fragment F on T{...F} {a(x:1){...F}}",
        "{u{...on T{z}}}",
        "{u{...on Query{b}}}",
        "{u{z}}",
        "{c{...on T{k}}}",
        "{b @d(x:1)}",
        "{b @zz}",
        "{b @skip(if:true)}",
        "{b @skip}",
        "{b @skip(if:1)}",
        "query @skip(if:true){b}",
        "{b x:b}",
        "{x:b x:n}",
        "{a(x:1,x:2){z}}",
        "{a(x:1,zz:2){z}}",
        "subscription{s}",
        "subscription{s r}",
        "mutation{m(i:{a:1})}",
        "mutation{m(i:{})}",
        "mutation{m(i:{a:1,c:2})}",
        "mutation{m(i:{a:1,a:2})}",
        "mutation{m(i:{a:1,b:[{a:2}]})}",
        "mutation{m(i:null)}",
        "query($v:T){b}",
        "query($v:Zed){b}",
        "query($v:Int,$v:Int){b n @skip(if:true) a(x:$v){z}}",
        "{__schema{types{name}}}",
        '{__type(name:"T"){name}}',
        "{__typename}",
        "{b",
        "fragment F on E{z} {b ...F}",
        "{b @include(if:true) @include(if:false)}",
        "query($v:Int=1){a(x:$v){z}}",
        'query($v:Int="s"){a(x:$v){z}}',
        "{a(x:99999999999){z}}",
        "{a(x:1.5){z}}",
        "{a(x:1){y(k:{a:1})}}",
    ]
    VS: list[Any] = [
        *S,
        "type Query{a:Zed}",
        "type Query{a:Int a:Int}",
        "type Query{a:Int} type Query{b:Int}",
        "type Query{a(x:Query):Int}",
        "input I{a:Query} type Query{a:Int}",
        "type Query{a:I} input I{a:Int}",
        "enum E{A A} type Query{a:E}",
        "enum E{true}",
        "union U=Int",
        "union U=Zed",
        "union U=T|T type T{a:Int}",
        "type T implements I{b:Int} interface I{a:Int}",
        "type T implements I{a:String} interface I{a:Int}",
        "type T implements Zed{a:Int}",
        "type T implements I{a:Int} interface I{a:Int}",
        "type __T{a:Int}",
        "type T{__a:Int}",
        "directive @d(a:Zed) on FIELD",
        "directive @d on FIELD directive @d on FIELD",
        "directive @skip on FIELD",
        "type T @zz{a:Int}",
        "directive @d on FIELD type T @d{a:Int}",
        "schema{query:Zed}",
        "schema{query:Q} type Q{a:Int}",
        "schema{query:Q} schema{query:Q} type Q{a:Int}",
        "input I{a:I!}",
        "input I{a:I}",
        "input I{a:J!} input J{b:I!}",
        "type T{a:Int @deprecated}",
        "type T{a:Int @deprecated(zz:1)}",
        "scalar Int",
        "scalar S type T{a:S}",
        "interface I{a(x:Int):Int} type T implements I{a:Int}",
        "interface I{a(x:Int):Int} type T implements I{a(x:Int,y:Int!):Int}",
        "interface I implements I{a:Int}",
        "interface I{a:Int} interface J implements I{a:Int} type T implements J{a:Int}",
        "type Q",
        "extend type Zed{a:Int}",
        "type T{a:Int} extend enum T{A}",
        "type Mutation{a:Int}",
        'scalar S @specifiedBy(url:"x")',
        OK,
        "type T @deprecated{a:Int}",
        "directive @r(x:Int!) on OBJECT type T @r{a:Int}",
        "directive @r on FIELD_DEFINITION type T {a:Int @r @r}",
    ]
    verdicts: list[Any] = [
        *[("graphql.is_valid", q, OK) for q in VQ],
        *[("graphql.parse_and_verify", q, OK) for q in VQ],
        *[("graphql.schema_is_valid", s) for s in VS],
    ]
    wrong: list[Any] = [
        ("graphql.is_valid", 1, OK),
        ("graphql.is_valid", "{b}", 1),
        ("graphql.parse", 1, OK),
        ("graphql.parse", "{b}", 1),
        ("graphql.parse_and_verify", 1, OK),
        ("graphql.parse_and_verify", "{b}", 1),
        ("graphql.schema_is_valid", 1),
    ]
    return _calls([*calls, *verdicts, *wrong])


SECRET = json.dumps({"kty": "oct", "k": "c2VjcmV0"})


def _token(payload, **header):
    sign = JWT["io.jwt.encode_sign_raw"].function
    return sign(json.dumps({"alg": "HS256", **header}), payload, SECRET)


def tokens():
    """Tokens signed with a shared secret, and texts that are none."""
    good = {"iss": "i", "aud": ["a", "b"], "exp": 2000000000, "nbf": 1000}
    good = _token(json.dumps(good))
    second = 1_500_000_000
    nano = second * 10**9
    texts = [
        "",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        1,
        "e30.e30.%",
        "e30.e30.abcde",
        "e30=.e30.",
        "ab=c.e30.",
        good + "=",
        "W10.e30.",
        "e30.e30.ab==c",
        "%.e30.",
        "e30.%.",
        good,
    ]
    calls: list[Any] = [
        (f"io.jwt.{name}", text, "secret")
        for name in ("verify_hs256", "verify_hs512")
        for text in texts
    ]
    calls += [("io.jwt.decode", text) for text in texts]
    wanted = [
        {},
        {"cert": 1},
        {"secret": 1},
        {"zz": 1},
        {"secret": ""},
        1,
        *(
            {"secret": "secret", **more}
            for more in (
                {},
                {"aud": "a"},
                {"time": "x"},
                {"time": -1},
                {"alg": 1},
                {"alg": "HS512"},
                {"iss": "i", "aud": "b"},
                {"iss": "j", "aud": "b"},
                {"aud": "a", "time": 1},
            )
        ),
    ]
    calls += [("io.jwt.decode_verify", good, each) for each in wanted]
    payloads = (
        {},
        {"aud": "a"},
        {"aud": 1},
        {"exp": second},
        {"exp": second + 1},
        {"exp": second + 0.5},
        {"exp": "x"},
        {"nbf": second},
        {"nbf": second + 1},
        {"nbf": "x"},
        [1],
    )
    for payload in payloads:
        for more in ({}, {"aud": "a"}, {"iss": "i"}):
            constraints = {"secret": "secret", "time": nano, **more}
            calls.append(("io.jwt.decode_verify", _token(json.dumps(payload)), constraints))
    headers = (
        {"kid": 1},
        {"crit": ["x"]},
        {"crit": ["x"], "x": 1},
        {"crit": []},
        {"crit": 1},
        {"crit": [1]},
        {"enc": "x"},
        {"typ": "x", "cty": "JWT"},
        {"typ": "x", "cty": "jwt"},
    )
    for header in headers:
        inner = good if "cty" in header else "{}"
        token = _token(inner, **header)
        calls.append(("io.jwt.decode_verify", token, {"secret": "secret", "aud": "a"}))
        if header.get("cty") != "jwt":
            calls.append(("io.jwt.decode", token))
    raw = ("{}", '{"alg":"dummy"}', '{"alg":"HS256"}', '{"alg":"HS384","typ":"x"}', "[]", 1)
    calls += [
        ("io.jwt.encode_sign_raw", header, payload, SECRET)
        for header in raw
        for payload in ("{}", "x", 1)
    ]
    claims = {"a": [1, N("1.50"), RegoSet.of(["b", "a"])], "<": "&"}
    key = json.loads(SECRET)
    calls.append(("io.jwt.encode_sign", {"alg": "HS512", "typ": "JWT"}, claims, key))
    return _calls(calls)


GROUPS = {"plain": plain, "schemas": schemas, "graphql": graphql, "tokens": tokens}
