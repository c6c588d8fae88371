"""Which module holds which built-in function, so that only those a policy calls are loaded."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from policy_agent.rego.builtins.registry import Builtin

_GROUPS: Final = {
    "aggregates": "count sum product max min all any sort",
    "arithmetic": "plus minus mul div rem abs round ceil floor numbers.range numbers.range_step",
    "arrays": "array.concat array.flatten array.reverse array.slice",
    "bits": "bits.and bits.lsh bits.negate bits.or bits.rsh bits.xor",
    "casts": "cast_array cast_boolean cast_null cast_object cast_set cast_string",
    "comparison": "assign eq equal gt gte lt lte neq internal.member_2 internal.member_3",
    "conversions": "to_number",
    "encoding": (
        "base64.decode base64.encode base64.is_valid base64url.decode base64url.encode "
        "base64url.encode_no_pad hex.decode hex.encode urlquery.decode urlquery.decode_object "
        "urlquery.encode urlquery.encode_object"
    ),
    "glob": "glob.match glob.quote_meta",
    "graph": "graph.reachable graph.reachable_paths walk",
    "json_paths": "json.filter json.patch json.remove",
    "objects": (
        "object.filter object.get object.keys object.remove object.subset object.union "
        "object.union_n"
    ),
    "printing": "internal.print internal.template_string print trace",
    "regex": (
        "re_match regex.find_all_string_submatch_n regex.find_n regex.globs_match regex.is_valid "
        "regex.match regex.replace regex.split regex.template_match"
    ),
    "serialisation": (
        "json.is_valid json.marshal json.marshal_with_options json.unmarshal yaml.is_valid "
        "yaml.marshal yaml.unmarshal"
    ),
    "sets": "and intersection or set_diff union",
    "sprintf": "sprintf",
    "strings": (
        "concat contains endswith format_int indexof indexof_n lower replace split startswith "
        "strings.any_prefix_match strings.any_suffix_match strings.count strings.replace_n "
        "strings.reverse strings.split_n substring trim trim_left trim_prefix trim_right "
        "trim_space trim_suffix upper"
    ),
    "template": "strings.render_template",
    "types": ("is_array is_boolean is_null is_number is_object is_set is_string type_name"),
    "units": "units.parse units.parse_bytes",
    "aws": "providers.aws.sign_req",
    "crypto": (
        "crypto.hmac.equal crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512 "
        "crypto.md5 crypto.sha1 crypto.sha256"
    ),
    "x509": (
        "crypto.parse_private_keys crypto.x509.parse_and_verify_certificates "
        "crypto.x509.parse_and_verify_certificates_with_options "
        "crypto.x509.parse_certificate_request crypto.x509.parse_certificates "
        "crypto.x509.parse_keypair crypto.x509.parse_rsa_private_key"
    ),
    "graphql": (
        "graphql.is_valid graphql.parse graphql.parse_and_verify graphql.parse_query "
        "graphql.parse_schema graphql.schema_is_valid"
    ),
    "http": "http.send",
    "json_schema": "json.match_schema json.verify_schema",
    "jwt": (
        "io.jwt.decode io.jwt.decode_verify io.jwt.encode_sign io.jwt.encode_sign_raw "
        "io.jwt.verify_eddsa io.jwt.verify_es256 io.jwt.verify_es384 io.jwt.verify_es512 "
        "io.jwt.verify_hs256 io.jwt.verify_hs384 io.jwt.verify_hs512 io.jwt.verify_ps256 "
        "io.jwt.verify_ps384 io.jwt.verify_ps512 io.jwt.verify_rs256 io.jwt.verify_rs384 "
        "io.jwt.verify_rs512"
    ),
    "net": (
        "net.cidr_contains net.cidr_contains_matches net.cidr_expand net.cidr_intersects "
        "net.cidr_is_valid net.cidr_merge net.cidr_overlap net.lookup_ip_addr"
    ),
    "rand": "rand.intn",
    "rego_meta": "internal.test_case rego.metadata.chain rego.metadata.rule rego.parse_module",
    "runtime": "opa.runtime",
    "semver": "semver.compare semver.is_valid",
    "time": (
        "time.add_date time.clock time.date time.diff time.format time.now_ns "
        "time.parse_duration_ns time.parse_ns time.parse_rfc3339_ns time.weekday"
    ),
    "uri": "uri.is_valid uri.parse",
    "uuid": "uuid.parse uuid.rfc4122",
}

HOME: Final = {name: group for group, names in _GROUPS.items() for name in names.split()}


def resolve(name: str) -> Builtin | None:
    """Return a built-in function by name, None if OPA 1.22 has none; loads its group."""
    group = HOME.get(name)
    if group is None:
        return None
    found: Builtin = import_module(f"{__package__}.{group}").BUILTINS[name]
    return found
