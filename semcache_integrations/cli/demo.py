"""`semcache demo`: shows on real questions what the cache does, in numbers. The work is done in `demo`."""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semcache_integrations.demo.run import Answer, Result

_TIERS = ("hash", "exact", "semantic", "miss")
_SHOWN_WRONG = 3
_MILLISECOND_S = 1e-3


@click.command()
@click.option("--limit", type=click.IntRange(min=1), help="Ask only so many questions.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=8, show_default=True, help="Questions at once."
)
@click.option(
    "--latency",
    type=click.FloatRange(0, 30),
    default=0.7,
    show_default=True,
    help="Median seconds that the local upstream takes.",
)
def demo(limit: int | None, workers: int, latency: float) -> None:
    """Answer labelled customer questions through LangChain and LiteLLM, and count what the cache did.

    Needs no key and no network: the upstream runs on this machine and takes as long as a real one.
    """
    from semcache_integrations.demo import run as demonstration
    from semcache_integrations.demo.traffic import load_traffic

    console = Console()
    total = len(load_traffic(limit))
    results = []
    for framework in demonstration.FRAMEWORKS:
        with _bar(console) as bar:
            task = bar.add_task(framework, total=total)
            result = demonstration.run(
                framework,
                limit=limit,
                workers=workers,
                latency_s=latency,
                progress=lambda bar=bar, task=task: bar.advance(task),  # type: ignore[misc]  # bound, not captured
            )
        results.append(result)
    console.print(_table(results))
    for result in results:
        console.print(_summary(result), highlight=False)
    _show_wrong(console, results)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _table(results: Sequence[Result]) -> Table:
    table = Table(
        title="What the callers saw",
        caption="The cache restarts half-way: what was on disk is the exact tier.",
    )
    for column, justify in (
        ("", "left"),
        ("tier", "left"),
        ("calls", "right"),
        ("share", "right"),
        ("p50", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]  # rich's Literal, widened by the loop
    table.add_column("p99", justify="right")
    table.add_column("wrong", justify="right")
    for result in results:
        for tier in _TIERS:
            _add_row(table, result, tier, result.of_tier(tier))
        table.add_section()
    return table


def _add_row(table: Table, result: Result, tier: str, answers: Sequence[Answer]) -> None:
    name = result.framework if tier == _TIERS[0] else ""
    if not answers:
        table.add_row(name, tier, "0", "0.0%", "", "", "")
        return
    seconds = [answer.seconds for answer in answers]
    p50, p99 = _percentile(seconds, 50), _percentile(seconds, 99)
    wrong = "" if tier == "miss" else str(sum(answer.is_wrong for answer in answers))
    share = f"{len(answers) / len(result.answers):.1%}"
    table.add_row(name, tier, str(len(answers)), share, _duration(p50), _duration(p99), wrong)


def _percentile(seconds: Sequence[float], percent: int) -> float:
    return quantiles(seconds, n=100, method="inclusive")[percent - 1] if len(seconds) > 1 else seconds[0]


def _duration(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < _MILLISECOND_S else f"{seconds * 1e3:.1f} ms"


def _summary(result: Result) -> str:
    total, hits, wrong = len(result.answers), len(result.hits), len(result.wrong_hits)
    return (
        f"[bold]{result.framework}[/bold]: {hits / total:.0%} of {total} questions answered from the cache, "
        f"{total - result.upstream_calls} of {total} upstream calls saved, "
        f"{wrong} wrong of {hits} hits ({wrong / max(hits, 1):.1%}) by the labels, {result.seconds:.0f} s in all"
    )


def _show_wrong(console: Console, results: Sequence[Result]) -> None:
    """Show some of the wrong hits, if there are any."""
    seen = {answer.question.text: answer for result in results for answer in result.wrong_hits}
    for answer in list(seen.values())[:_SHOWN_WRONG]:
        asked, got = escape(answer.question.text), escape(answer.text)
        console.print(
            f"  [red]wrong[/red] ({answer.question.label}): {asked!r} was answered {got!r}", highlight=False
        )
