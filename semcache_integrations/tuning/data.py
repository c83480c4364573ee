"""What a user's file says: labelled pairs, or a stream of requests as it came. Decides what columns mean.

The law: two texts of one class may share an answer, two of different classes must not. A file says so for all of
its rows or for none; a row that leaves it open is an error with its line, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Final, Literal, TypeAlias

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.tuning.files import Row, read_rows

LabelKind: TypeAlias = Literal["class", "answer", "none"]
"""What says which texts may share an answer: a class, the answers themselves, or nothing."""

PAIR_COLUMNS: Final = (
    ("a", "b"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text_a", "text_b"),
)
SAME_COLUMNS: Final = ("label", "is_duplicate", "duplicate")
TEXT_COLUMNS: Final = ("text", "prompt", "question", "query")
CLASS_COLUMNS: Final = ("class", "label", "intent", "category")
ANSWER_COLUMNS: Final = ("answer", "response", "completion")

_TRUE: Final = frozenset({"1", "1.0", "true", "yes"})
_FALSE: Final = frozenset({"0", "0.0", "false", "no"})
_SHOWN: Final = 40
_NOT_A_WORD: Final = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions.

    Attributes:
        same: Whether they may share an answer.
        tag: What kind of pair it is, "" if the file does not say.
    """

    a: str
    b: str
    same: bool
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a stream.

    Attributes:
        text: What is asked.
        label: Requests of one label may share an answer; None in an unlabelled stream.
    """

    text: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labelled pairs.

    Attributes:
        name: What reports call them.
    """

    name: str
    rows: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests in the order in which they came.

    Attributes:
        name: What reports call it.
        labels: Where the labels are from.
    """

    name: str
    rows: tuple[Request, ...]
    labels: LabelKind = "class"


Data: TypeAlias = "Pairs | Stream"


def read_data(path: str | PathLike[str], *, limit: int | None = None) -> Data:
    """Read labelled pairs or a stream of requests; which of them it is, the columns say.

    JSON lines, CSV and TSV (both with a header) and plain text with one request a line; UTF-8, also gzipped.

    * Pairs: `a`, `b` (or `sentence1`, `sentence2`; `question1`, `question2`) and `label` (or `is_duplicate`), 1 if
      the two may share an answer; a `tag` is optional.
    * Streams and logs: `text` (or `prompt`, `question`, `query`), and `class` (or `label`, `intent`, `category`), or
      `response` (or `answer`, `completion`): then equal answers make a class, but for case and punctuation.
      Without either it is an unlabelled stream.

    Args:
        path: The file.
        limit: Most rows, the first ones; None for all.

    Raises:
        ConfigurationError: a line cannot be used; the message names it, the reason and the mending step.
    """
    path = Path(path).expanduser()
    rows = iter(islice(read_rows(path, _are_headings), limit))
    first = next(rows, None)
    if first is None:
        raise ConfigurationError(
            f"{path.name}: there is a header and no row; give one request or pair a line"
        )
    every = chain([first], rows)
    for left, right in PAIR_COLUMNS:
        if left in first.cells and right in first.cells:
            return Pairs(path.name, tuple(_pairs(every, left, right, _column(first, SAME_COLUMNS))))
    text = _column(first, TEXT_COLUMNS)
    if text is None:
        first.refuse(
            f"no known column among: {', '.join(first.cells)[:200]}",
            "pairs have a, b and label; requests have text, and class or response",
        )
    return _stream(path.name, every, text, first.cells)


def answer_class(answer: str) -> str:
    """Return what equal answers have in common: their words in lower case."""
    return _NOT_A_WORD.sub(" ", answer.casefold()).strip() or answer


def _are_headings(cells: list[str]) -> bool:
    names = {cell.strip().lower() for cell in cells}
    if any(set(pair) <= names for pair in PAIR_COLUMNS):
        return True
    known = {*TEXT_COLUMNS, *CLASS_COLUMNS, *ANSWER_COLUMNS}
    return len(cells) > 1 and bool(names & set(TEXT_COLUMNS)) and bool(names & known - set(TEXT_COLUMNS))


def _column(row: Row, names: Iterable[str]) -> str | None:
    return next((name for name in names if name in row.cells), None)


def _pairs(rows: Iterable[Row], left: str, right: str, same: str | None) -> Iterator[Pair]:
    for row in rows:
        if same is None:
            row.refuse(
                "the pairs have no label", "add a column label: 1 if the two may share an answer, else 0"
            )
        tag = row.cells.get("tag")
        yield Pair(_text(row, left), _text(row, right), _same(row, same), "" if tag is None else str(tag))


def _stream(name: str, rows: Iterable[Row], text: str, columns: Mapping[str, object]) -> Stream:
    by_class = next((column for column in CLASS_COLUMNS if column in columns), None)
    by_answer = next((column for column in ANSWER_COLUMNS if column in columns and column != text), None)
    if by_class is not None:
        labelled = (Request(_text(row, text), _label(row, by_class)) for row in rows)
        return Stream(name, tuple(labelled), "class")
    if by_answer is not None:
        answered = (Request(_text(row, text), answer_class(_text(row, by_answer))) for row in rows)
        return Stream(name, tuple(answered), "answer")
    return Stream(name, tuple(Request(_text(row, text)) for row in rows), "none")


def _text(row: Row, column: str) -> str:
    value = row.cells.get(column)
    if value is None:
        row.refuse(f"{column} is missing", "fill it in, or drop the row")
    if not isinstance(value, str):
        row.refuse(
            f"{column} is not text but a {type(value).__name__}",
            "write the text alone: the last user message",
        )
    if not value.strip():
        row.refuse(f"{column} is blank", "fill it in, or drop the row")
    try:
        value.encode()
    except UnicodeEncodeError:
        row.refuse(f"{column} holds half a character", "replace the lone surrogate (\\ud800-\\udfff)")
    return value


def _label(row: Row, column: str) -> str:
    value = row.cells.get(column)
    if not isinstance(value, (str, int)) or not str(value).strip():
        row.refuse(
            f"{column} is missing or no name",
            "name the class in every row, or drop the column in all of them",
        )
    return str(value)


def _same(row: Row, column: str) -> bool:
    said = str(row.cells.get(column, "")).strip().lower()
    if said not in _TRUE | _FALSE:
        row.refuse(f"{column} is {said[:_SHOWN]!r}", "write 1 if the two may share an answer, else 0")
    return said in _TRUE
