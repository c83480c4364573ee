"""One table, for a terminal, a notebook and JSON. Knows nothing of what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semcache_integrations.tables import html_table

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Shown:
    """A table; its first column is text, the others are numbers.

    Attributes:
        rows: As many cells each as there are columns.
        emphasised: Which rows stand out.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""
    emphasised: frozenset[int] = frozenset()

    def to_records(self) -> list[dict[str, str]]:
        """Return the rows by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_html(self) -> str:
        """Return the table as HTML in which nothing is markup."""
        return html_table(self.title, self.columns, self.rows)

    def __rich__(self) -> Table:
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        table = Table(
            title=escape(self.title),
            caption=escape(self.caption) or None,
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for at, column in enumerate(self.columns):
            widest = max((len(row[at]) for row in self.rows), default=0)  # headings wrap, cells do not
            table.add_column(column, justify="right" if at else "left", min_width=widest)
        for at, row in enumerate(self.rows):
            table.add_row(*map(escape, row), style="bold" if at in self.emphasised else None)
        return table

    def _repr_html_(self) -> str:
        return self.to_html()
