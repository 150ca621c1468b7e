"""Lines of NDJSON become a Parquet file or a table of a DuckDB file, by DuckDB (an extra), in bounded memory.

DuckDB decides the types of columns after reading every record. Texts stay texts: dates, timestamps of seven digits
and keys of digits are not converted. Numbers become DuckDB's, which NDJSON does not do to them.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

from harvester.errors import ArgumentError, StorageError

_MEMORY = "512MB"  # for DuckDB; beyond it uses files
_LEAST_ROOM = 1 << 20  # bytes; DuckDB takes many times that for itself
_NEVER = "'%Y never'"  # a format that no text has, so that none is taken for a date
_GUESSED = f"sample_size=-1, maximum_depth=-1, union_by_name=true, dateformat={_NEVER}, timestampformat={_NEVER}"
_NUMBERED = re.compile(r"(.+)_\d+")
_CHANGED = re.compile(r'"NULL"|\bUUID\b')


def write_parquet(lines: PurePath, target: PurePath, scratch: PurePath, *, longest: int) -> None:
    """Write the records in the file *lines*, of which the longest has *longest* bytes, to the new file *target*.

    Raises:
        ArgumentError: DuckDB is not installed.
        StorageError: DuckDB cannot read or write; the message has its reason.
    """
    _run(":memory:", lines, lambda rows: f"COPY ({rows}) TO {_text(str(target))} (FORMAT parquet)", scratch, longest)


def write_duckdb(lines: PurePath, target: PurePath, table: str, scratch: PurePath, *, longest: int) -> None:
    """Write them as the table *table* of the DuckDB file *target*, in the place of one that it has. See above."""
    name = '"' + table.replace('"', '""') + '"'
    _run(str(target), lines, lambda rows: f"CREATE OR REPLACE TABLE {name} AS {rows}", scratch, longest)


def check_installed() -> None:
    """Raises ``ArgumentError`` when DuckDB is not installed."""
    _library()


def _library() -> Any:
    try:
        return importlib.import_module("duckdb")
    except ImportError as exc:
        raise ArgumentError("tables need DuckDB: pip install 'harvester[duckdb]'; NDJSON needs nothing") from exc


def _run(database: str, lines: PurePath, statement: Callable[[str], str], scratch: PurePath, longest: int) -> None:
    """Execute *statement*, made from the query that reads *lines*."""
    duckdb = _library()
    try:
        with duckdb.connect(database) as connection:
            connection.execute(f"SET memory_limit={_text(_MEMORY)}")
            connection.execute(f"SET temp_directory={_text(str(scratch))}")
            connection.execute("SET threads=2")
            connection.execute("SET preserve_insertion_order=false")
            guessed = _read(lines, longest, _GUESSED)
            columns = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {guessed}").fetchall()]
            told = ", ".join(f"{_text(name)}: {_text(_kept(kind))}" for name, kind in columns)
            rows = guessed if _has_twins(name for name, _ in columns) else _read(lines, longest, f"columns={{{told}}}")
            connection.execute(statement(rows))
    except duckdb.Error as exc:
        raise StorageError(f"DuckDB cannot write the table: {str(exc).splitlines()[0]}") from exc


def _has_twins(names: Iterable[str]) -> bool:
    """Whether members that differ only in case were given other names, by which they cannot be asked for."""
    known = {name.casefold() for name in names}
    return any(found and found[1] in known for found in map(_NUMBERED.fullmatch, known))


def _read(lines: PurePath, longest: int, columns: str) -> str:
    room = max(_LEAST_ROOM, 2 * longest)
    options = f"format='newline_delimited', maximum_object_size={room}, {columns}"
    return f"SELECT * FROM read_json({_text(str(lines))}, {options})"  # noqa: S608 - all text is quoted


def _kept(kind: str) -> str:
    """The type of a column where DuckDB would take a text for more than it is, or has seen nothing but null."""
    return _CHANGED.sub("VARCHAR", kind)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
