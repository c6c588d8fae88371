"""The Iceberg table of decisions: where it lies, its columns, and how rows become Arrow.

Catalog and namespace have different names because Spark's CALL cannot tell equal ones apart. The
table is partitioned by the day of the decision so that other engines and retention find whole days.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform
from pyiceberg.types import LongType, MapType, NestedField, StringType, TimestamptzType

from policy_agent.auditor.row import DecisionRow
from policy_agent.errors import AuditError

CATALOG_FILE: Final = "catalog.db"
_CATALOG: Final = "policy_agent"
_NAMESPACE: Final = "audit"
_TABLE: Final = f"{_NAMESPACE}.decisions"
_FILE_IO: Final = "policy_agent.auditor.file_io.DurableFileIO"
# In a path these mean something to SQLite's URL, to file URLs or to DuckDB's file patterns.
_SPECIAL_CHARACTERS: Final = frozenset("%#?*[]{}")

SCHEMA: Final = Schema(
    NestedField(1, "decision_id", StringType(), required=True),
    NestedField(2, "timestamp", TimestamptzType(), required=True),
    NestedField(3, "path", StringType()),
    NestedField(4, "labels", StringType(), required=True, doc="JSON"),
    NestedField(5, "function", StringType()),
    NestedField(6, "subject", StringType()),
    NestedField(7, "action", StringType()),
    NestedField(8, "result", StringType(), required=True),
    NestedField(9, "revisions", MapType(10, StringType(), 11, StringType(), True), required=True),
    NestedField(12, "requested_by", StringType()),
    NestedField(13, "error", StringType()),
    NestedField(14, "event", StringType(), required=True, doc="JSON as received"),
    NestedField(15, "_src", StringType(), required=True, doc="the body it came in"),
    NestedField(16, "instance", StringType(), doc="who numbered it"),
    NestedField(17, "seq", LongType(), doc="its number there, from 1"),
    NestedField(18, "chain", StringType(), doc="its chain value"),
)
_BY_DAY: Final = PartitionSpec(PartitionField(2, 1000, DayTransform(), "day"))
# Without merging, planning a query reads one manifest per commit ever made.
_PROPERTIES: Final = {
    "commit.manifest-merge.enabled": "true",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
}

_NO_FILE_HAS: Final = 1_000_000  # field ids from here on
_DUCKDB_TYPES: Final = {
    "string": "VARCHAR",
    "timestamptz": "TIMESTAMPTZ",
    "long": "BIGINT",
    "map<string, string>": "MAP(VARCHAR, VARCHAR)",
}


def open_catalog(directory: Path) -> SqlCatalog:
    """Open the catalog in `directory`, creating its file when there is none.

    Raises:
        AuditError: the path has characters that one of the engines would misread.
    """
    root = directory.resolve()
    if special := sorted(_SPECIAL_CHARACTERS & set(str(root))):
        raise AuditError(f"{root}: the path of a store must not contain {' '.join(special)}")
    return SqlCatalog(
        _CATALOG,
        uri=f"sqlite:///{root / CATALOG_FILE}",
        warehouse=f"file://{root / 'warehouse'}",
        **{"py-io-impl": _FILE_IO},
    )


def create_table(catalog: Catalog) -> None:
    """Create the table unless it exists; one of an older version gets the columns it lacks."""
    catalog.create_namespace_if_not_exists(_NAMESPACE)
    table = catalog.create_table_if_not_exists(
        _TABLE, SCHEMA, partition_spec=_BY_DAY, properties=_PROPERTIES
    )
    present = set(table.schema().column_names)
    missing = [field for field in SCHEMA.fields if field.name not in present]
    if missing:
        with table.update_schema() as update:
            for field in missing:
                update.add_column(field.name, field.field_type, doc=field.doc)


def load_table(catalog: Catalog) -> Table:
    """Return the table.

    Raises:
        AuditError: the catalog has none.
    """
    try:
        return catalog.load_table(_TABLE)
    except NoSuchTableError as exc:
        raise AuditError(f"the catalog has no table {_TABLE}") from exc


def as_duckdb_source(schema: Schema) -> str:
    """Return SQL for the rows in the files `$files`, whatever version of us wrote each.

    Columns are found by Iceberg's field ids, so a file from before a column was added has NULL
    there. In a table that nobody has given the column yet, an id that no file has does the same.

    Args:
        schema: the table's own, which knows the ids.
    """
    ids = {field.name: field.field_id for field in schema.fields}
    columns = ", ".join(
        f"{ids.get(field.name, _NO_FILE_HAS + field.field_id)}: {{name: '{field.name}',"
        f" type: '{_DUCKDB_TYPES[str(field.field_type)]}', default_value: NULL}}"
        for field in SCHEMA.fields
    )
    # The day folders would otherwise come back as a column of their own.
    return f"read_parquet($files, schema = MAP {{{columns}}}, hive_partitioning = false)"


def to_arrow(rows: Sequence[DecisionRow], schema: pa.Schema) -> pa.Table:
    """Return rows in the table's columns."""
    columns: dict[str, list[object]] = {
        name: [getattr(row, name) for row in rows]
        for name in schema.names
        if name not in ("_src", "revisions")
    }
    columns["_src"] = [row.source for row in rows]
    columns["revisions"] = [list(row.revisions.items()) for row in rows]
    return pa.Table.from_pydict(columns, schema=schema)
