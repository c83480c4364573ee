"""How a table looks in a notebook, every cell escaped, and as plain text, every column as wide as its widest cell."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def html_table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an HTML table; nothing in it can be markup, and each line of the caption has its own."""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    title = "<br>".join(map(html.escape, caption.splitlines()))
    return f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text_table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for `print`, which needs no library."""
    lines = [tuple(columns), *(tuple(cell.replace("\n", " ") for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join((caption, *padded))
