"""How a report looks in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from semcache_integrations.loadtest.mix import KINDS
from semcache_integrations.loadtest.report import Report, TierReport
from semcache_integrations.loadtest.tally import TIERS

_COLUMNS = ("tier", "calls", "share", "p50", "p95", "p99", "max", "wrong")
_UNITS = (("s", 1.0), ("ms", 1e-3))
_KINDS = {"new": "new questions", "reword": "rewordings", "repeat": "repeats"}
_FRESH = ("miss", "bypass")
_LONGEST = 120


def shown(report: Report) -> Group:
    """Return the table, and what it does not say."""
    return Group(_table(report), *map(Text.from_markup, _lines(report)))


def duration(seconds: float | None) -> str:
    """Return seconds as people read them; nothing where nothing was measured."""
    if seconds is None:
        return ""
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.{1 if seconds < 10 * size else 0}f} {unit}"
    return f"{seconds * 1e6:.0f} µs"


def _table(report: Report) -> Table:
    table = Table(title=f"semcache loadtest: {_target(report)}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column(_COLUMNS[0], no_wrap=True)
    for name in _COLUMNS[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    if report.cold:
        table.add_row("cold start", "1", "", duration(report.cold.seconds), style="dim")
    answered = sum(tier.calls for tier in report.tiers.values())
    for name in TIERS:
        tier = report.tiers[name]
        if tier.calls or name in ("hash", "semantic", "miss"):
            table.add_row(*_cells(name, tier, answered))
    return table


def _cells(name: str, tier: TierReport, answered: int) -> Iterator[str]:
    yield name
    yield f"{tier.calls:,}"
    yield f"{tier.calls / answered:.1%}" if tier.calls else ""
    yield from map(duration, (tier.p50_s, tier.p95_s, tier.p99_s, tier.most_s))
    if tier.wrong:
        yield f"[red]{tier.wrong:,}[/red]"
    else:
        yield "" if tier.wrong is None else "0"


def _target(report: Report) -> str:
    return "a proxy and a provider of its own" if report.own else escape(report.target)


def _lines(report: Report) -> Iterator[str]:
    yield from chain(_summary(report), _kinds(report), _wrong(report), _failures(report), _remarks(report))


def _summary(report: Report) -> Iterator[str]:
    users = f"{report.users:,}" + (
        "" if report.users == report.planned_users else f" of {report.planned_users:,}"
    )
    ended = ", interrupted" if report.interrupted else ""
    yield (
        f"[bold]{report.per_second:,.0f} answers/s[/bold] for {users} users, "
        f"{report.requests:,} requests in {report.seconds:.1f} s{ended}"
    )


def _kinds(report: Report) -> Iterator[str]:
    """Say how many of each kind of question the cache answered."""
    said = []
    for kind in KINDS:
        became = {
            key.partition("/")[2]: count for key, count in report.became.items() if key.startswith(kind)
        }
        total = sum(became.values())
        if total:
            hits = total - sum(became.get(tier, 0) for tier in _FRESH)
            said.append(f"{hits / total:.0%} of {total:,} {_KINDS[kind]}")
    if said:
        yield f"answered from the cache: {', '.join(said)}"
    if report.reasons:
        why = (f"{count:,} {escape(reason)}" for reason, count in report.reasons.items())
        yield f"not answered from it: {', '.join(why)}"


def _wrong(report: Report) -> Iterator[str]:
    if report.hits:
        told = f"wrong: {report.wrong:,} of {report.hits:,} hits ({report.wrong_share:.1%}) by the labels"
        yield told + (f", {report.unjudged:,} could not be judged" if report.unjudged else "")
    for claim in report.examples:
        yield (
            f"  [red]wrong[/red] ({claim.tier}) {escape(_short(claim.question))!r} "
            f"was answered {escape(_short(claim.answer))!r}"
        )


def _failures(report: Report) -> Iterator[str]:
    for kind, count in sorted(report.errors.items(), key=lambda item: -item[1]):
        yield f"  [red]failed[/red] {count:,} with {escape(kind)}: {escape(_short(report.messages[kind]))}"
    if report.cut_off:
        yield f"  {report.cut_off:,} were still under way at the end, and were cut off"


def _remarks(report: Report) -> Iterator[str]:
    if report.users < report.planned_users and not report.interrupted:
        yield "  the time was over before all users had come: more --time, or a higher --spawn-rate"
    if report.is_busy:
        yield f"  [yellow]this load generator was busy {report.busy:.0%} of the time[/yellow]: part of the latency is its own"
    if report.upstream_calls is not None:
        yield f"reached the provider: {report.upstream_calls:,} calls"
    elif report.deleted is not None:
        yield f"deleted afterwards: {report.deleted:,} entries, by the tag {report.run}"
    else:
        yield (
            f"not deleted, the proxy lets nobody or only its administrator do it (--admin-token): the entries with the tag {report.run} "
            f"expire {report.ttl_s} s after they were stored"
        )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
