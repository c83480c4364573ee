"""What a look-up saw: every candidate, its similarity and the verdict on it, for a terminal and a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semcache_integrations.core.acceptance import group_of, is_fresh
from semcache_integrations.core.flow import Ask
from semcache_integrations.core.models import CacheEntry, Verdict
from semcache_integrations.tables import html_table, text_table

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("question", "similarity", "score", "verdict", "group", "entry")
_GROUP_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Explanation:
    """The result of `SemanticCache.explain`.

    Attributes:
        ask: The request with its keys.
        exact: The entry of the very same question, expired or not, if there is one.
        verdicts: One per neighbour in the namespace, best first.
        threshold: Least cosine of a semantic hit for this request.
        now: Seconds since the epoch at which this was so.
        notes: What else decided, in words: what the policy demands, whether the question is time-sensitive.
    """

    ask: Ask
    exact: CacheEntry | None
    verdicts: tuple[Verdict, ...]
    threshold: float
    now: float
    notes: tuple[str, ...] = ()

    @property
    def served(self) -> CacheEntry | None:
        """The entry whose answer a look-up of the store would serve, if it is not asked anew to check it."""
        if self.exact is not None and is_fresh(self.exact, self.ask.request.controls, self.now):
            return None if self.exact.standing.quarantined else self.exact
        accepted = (verdict.candidate.entry for verdict in self.verdicts if not verdict.refusal)
        return next(accepted, None)

    def rows(self) -> Iterator[tuple[str, str, str, str, str, str]]:
        """Yield the table's rows: question, similarity, score, verdict, answer group, entry id."""
        if self.exact is not None:
            yield (
                self.exact.text,
                "1.000",
                "",
                self._on_exact(self.exact),
                _short_group(self.exact),
                self.exact.id,
            )
        for verdict in self.verdicts:
            entry = verdict.candidate.entry
            if self.exact is None or entry.id != self.exact.id:
                yield (
                    entry.text,
                    f"{verdict.candidate.similarity:.3f}",
                    "" if verdict.score is None else f"{verdict.score:.3f}",
                    verdict.refusal or "accepted",
                    _short_group(entry),
                    entry.id,
                )

    def _on_exact(self, exact: CacheEntry) -> str:
        if self.served is exact:
            return "same question"
        if exact.standing.quarantined:
            return "quarantined"
        return "expired" if self.now >= exact.expires_at else "too old for this call"

    def _title(self) -> str:
        return f"{'hit' if self.served else 'miss'} for {self.ask.text!r} (threshold {self.threshold:.2f})"

    def __rich__(self) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=escape(self._title()), caption=escape("\n".join(self.notes)) or None)
        for column in _COLUMNS:
            table.add_column(column, justify="right" if column in ("similarity", "score") else "left")
        for row in self.rows():
            table.add_row(*(escape(cell) for cell in row))
        return table

    def __str__(self) -> str:
        return text_table("\n".join((self._title(), *self.notes)), _COLUMNS, self.rows())

    def _repr_html_(self) -> str:
        return html_table("\n".join((self._title(), *self.notes)), _COLUMNS, self.rows())


def _short_group(entry: CacheEntry) -> str:
    """Return enough of the group's name to see who shares it."""
    return group_of(entry)[:_GROUP_CHARACTERS]
