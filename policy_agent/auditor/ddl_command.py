"""`policy-agent audit ddl`: print the table with which Athena reads what the `s3` sink writes."""

from __future__ import annotations

import argparse
import re
from typing import Final

from policy_agent.errors import AuditError

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?")
_LOCATION: Final = re.compile(r"s3://[a-z0-9.-]{3,63}(?:/[A-Za-z0-9!_.*()/-]*)?")
# Input and result may be anything: as text, for Athena's json_extract. The partitions are computed
# from their names (partition projection), so nobody has to add one for each hour.
_DDL: Final = """\
CREATE EXTERNAL TABLE IF NOT EXISTS {table} (
  decision_id string,
  `timestamp` string,
  path string,
  query string,
  input string,
  result string,
  error string,
  erased array<string>,
  masked array<string>,
  requested_by string,
  labels map<string,string>,
  bundles map<string,struct<revision:string>>,
  metrics map<string,bigint>,
  custom struct<
    audit:struct<instance:string,seq:bigint,prev:string,chain:string,key:string,
      closing:boolean,last_seq:bigint,replaced:boolean,seal:string>,
    lambda:struct<request_id:string,function_arn:string,function_version:string,
      xray_trace_id:string>,
    trace:struct<trace_id:string,span_id:string,xray_trace_id:string>,
    subject:string,
    obligations:array<string>,
    sampling:struct<rate:double,weight:double>,
    withheld:string>
)
PARTITIONED BY (dt string, hour string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION '{location}/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{since},NOW',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = '{location}/dt=${{dt}}/hour=${{hour}}/'
);
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--location", required=True, help="s3://bucket/prefix, the prefix being the sink's"
    )
    parser.add_argument("--table", default="decisions", help="name (default %(default)s)")
    parser.add_argument("--since", default="2026-01-01", metavar="DATE", help="first day there is")


def main(arguments: argparse.Namespace) -> int:
    """Print the statement.

    Raises:
        AuditError: an argument would not be what it seems within the statement.
    """
    location = arguments.location.rstrip("/")
    if not _LOCATION.fullmatch(location):
        raise AuditError("--location: must be s3://bucket/prefix, of letters that need no escape")
    if not _NAME.fullmatch(arguments.table):
        raise AuditError("--table: must be a name in small letters, or database.name")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", arguments.since):
        raise AuditError("--since: must be a day such as 2026-11-27")
    print(_DDL.format(table=arguments.table, location=location, since=arguments.since), end="")
    return 0
