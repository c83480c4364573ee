"""`semcache bench`: policies beside each other on labelled requests. The work is done in `tuning`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from semcache_integrations.cli.bars import staged_bar
from semcache_integrations.cli.options import check_plot, json_option, plot_option, target_option


@click.group()
def bench() -> None:
    """Compare policies with each other and with what other caches do by default."""


@bench.command()
@click.option(
    "--stream",
    type=click.Choice(["slot", "banking77", "mixed"]),
    default="mixed",
    show_default=True,
    help="Which of the labelled streams that come with the package.",
)
@click.option("--limit", type=click.IntRange(min=2), help="Play only so many requests.")
@click.option(
    "--orders", type=click.IntRange(1, 20), default=1, show_default=True, help="In how many orders."
)
@target_option("Most wrong hits per hit, for the best static threshold.")
@plot_option
@json_option
def quality(
    stream: str, *, limit: int | None, orders: int, target: float, plot: Path | None, as_json: bool
) -> None:
    """Count hits and wrong hits of every policy on the same labelled requests, on the real store.

    All of the mixed stream takes minutes; --limit 1000 shows the picture.
    """
    from semcache_integrations.tuning.quality import measure_quality

    if plot is not None:
        check_plot(plot)
    with staged_bar() as progress:
        measured = measure_quality(stream, limit=limit, orders=orders, target=target, progress=progress)
    if as_json:
        click.echo(measured.to_json())
    else:
        Console().print(measured)
    if plot is not None:
        measured.plot().savefig(plot)
