"""Reading somebody's file line by line: JSON lines, CSV or plain text, gzipped or not. Knows no column's meaning.

The law: whatever the bytes are, a `Row` comes out, or a `ConfigurationError` that names the file, the line, the
reason and the mending step. Nothing is guessed, repaired or left out but blank lines.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from semcache_integrations.core.errors import ConfigurationError

MAX_LINE_BYTES: Final = 1_000_000
"""A longer line is no question: it is a file that has lost its line ends, or no text at all."""

_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_BOM: Final = b"\xef\xbb\xbf"
_SHOWN: Final = 40
_PLAIN_COLUMN: Final = "text"
_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}

Cell: TypeAlias = object
"""Whatever JSON can hold; always a string in CSV and plain text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record.

    Attributes:
        file: The file's name, for messages.
        line: The line on which it ends, counted from 1.
        cells: By column.
    """

    file: str
    line: int
    cells: Mapping[str, Cell]

    def refuse(self, reason: str, mend: str) -> NoReturn:
        """Raise the error that says what is wrong with this row."""
        refuse(self.file, self.line, reason, mend)


def refuse(file: str, line: int, reason: str, mend: str) -> NoReturn:
    """Raise the error for one line of a file.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(f"{file}:{line}: {reason}; {mend}")


def read_rows(path: Path, headings: Callable[[list[str]], bool]) -> Iterator[Row]:
    """Yield a file's rows.

    Args:
        path: JSON lines, CSV, TSV or plain text in UTF-8; with a last suffix `.gz` it is unpacked.
        headings: Whether a first line, split at commas, is a header rather than text.

    Raises:
        ConfigurationError: the file or one of its lines cannot be read.
    """
    name = path.name
    with _opened(path) as file:
        lines = _lines(name, file)
        first = next((line for line in lines if line[1].strip()), None)
        if first is None:
            raise ConfigurationError(f"{name}: the file is empty; give one request or pair a line")
        yield from _rows(name, path, first, lines, headings)


def _rows(
    name: str,
    path: Path,
    first: tuple[int, str],
    rest: Iterable[tuple[int, str]],
    headings: Callable[[list[str]], bool],
) -> Iterator[Row]:
    start, text = first
    if text.lstrip().startswith("["):
        refuse(name, start, "this is a JSON array", "write one object a line: jq -c '.[]' FILE > FILE.jsonl")
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".jsonl" or text.lstrip().startswith("{"):
        yield from _json_rows(name, [first], rest)
        return
    separator = _SEPARATORS.get(suffix.lower())
    if separator is None and headings(_split(text)):
        separator = ","
    if separator is None:
        yield from _plain_rows(name, [first], rest)
    else:
        yield from _csv_rows(name, separator, first, rest)


def _split(header: str) -> list[str]:
    try:
        return next(csv.reader([header]), [])
    except csv.Error:
        return []


@contextmanager
def _opened(path: Path) -> Iterator[BufferedIOBase]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigurationError(
            f"{path.name}: not a whole gzip file ({error}); unpack it or copy it again"
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"{path}: {reason}; give a file that can be read") from None


def _lines(name: str, file: BufferedIOBase) -> Iterator[tuple[int, str]]:
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            refuse(name, number, f"longer than {MAX_LINE_BYTES:,} bytes", "give one request or pair a line")
        if number == 1:
            if raw.startswith(_UTF16):
                refuse(name, number, "this is UTF-16", "convert it: iconv -f utf-16 -t utf-8")
            raw = raw.removeprefix(_BOM)
        try:
            yield number, raw.decode()
        except UnicodeDecodeError as error:
            refuse(
                name,
                number,
                f"not UTF-8 at byte {error.start + 1}",
                "convert it, for example: iconv -f latin1 -t utf-8",
            )


def _plain_rows(name: str, *parts: Iterable[tuple[int, str]]) -> Iterator[Row]:
    for part in parts:
        for number, line in part:
            if line.strip():
                yield Row(name, number, {_PLAIN_COLUMN: line.strip()})


def _json_rows(name: str, *parts: Iterable[tuple[int, str]]) -> Iterator[Row]:
    for part in parts:
        for number, line in part:
            if line.strip():
                yield Row(name, number, _json_object(name, number, line))


def _json_object(name: str, number: int, line: str) -> Mapping[str, Cell]:
    def unique(pairs: list[tuple[str, Cell]]) -> dict[str, Cell]:
        cells = {key.strip().lower(): value for key, value in pairs}
        if len(cells) < len(pairs):
            refuse(name, number, "a field occurs twice", "keep one of the two")
        return cells

    try:
        found = json.loads(line, object_pairs_hook=unique)
    except RecursionError:
        refuse(name, number, "JSON nested too deeply", "flatten it to one level of fields")
    except ValueError as error:  # also an integer of too many digits
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
        refuse(name, number, f"not JSON ({reason})", "write one whole object a line")
    if not isinstance(found, dict):
        refuse(name, number, "not a JSON object", 'write {"text": "…", "class": "…"}')
    return found


def _csv_rows(
    name: str, separator: str, first: tuple[int, str], rest: Iterable[tuple[int, str]]
) -> Iterator[Row]:
    at = first[0]

    def texts() -> Iterator[str]:
        nonlocal at
        yield first[1]
        for at, line in rest:  # noqa: B007 - the line number is what the outer scope reads
            yield line

    reader = csv.reader(texts(), delimiter=separator, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if header is None:
                header = _header(name, at, cells)
            elif any(cell.strip() for cell in cells):
                yield _csv_row(name, at, header, cells)
    except csv.Error as error:
        refuse(name, at, f"not CSV ({error})", "close every quote, and double quotes inside of quotes")


def _header(name: str, line: int, cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    for column in header:
        if header.count(column) > 1:
            refuse(name, line, f"two columns are called {column[:_SHOWN]!r}", "rename or drop one of them")
    return header


def _csv_row(name: str, line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        refuse(
            name,
            line,
            f"{len(cells)} fields where the header has {len(header)}",
            'put fields with commas in quotes: "a, b"',
        )
    return Row(name, line, dict(zip(header, cells, strict=True)))
