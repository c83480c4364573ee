"""How a table looks in a notebook: every cell escaped, no style of its own."""

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
