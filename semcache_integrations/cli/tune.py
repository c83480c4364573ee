"""`semcache tune`: the threshold for one's own data, in the terminal. The work is done in `tuning`."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem
from rich.console import Console

from semcache_integrations.cli.bars import staged_bar
from semcache_integrations.cli.options import check_plot, json_option, plot_option, target_option
from semcache_integrations.core.errors import ConfigurationError


def complete_model(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the installed embedding models to the shell."""
    from semcache_integrations.backends import model_files

    names = sorted({each.model.manifest.name for each in model_files.status()})
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@target_option("Most wrong hits per hit.")
@click.option(
    "--embedding-model",
    metavar="NAME",
    shell_complete=complete_model,
    help="Instead of the configured one; litellm:<model> asks LiteLLM.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Read only so many rows, the first ones.")
@plot_option
@json_option
@click.option(
    "--fit",
    metavar="OUT",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Calibrate the embedder for policy=balanced and strict, into this file, or adding to it. FILE is optional then. Takes minutes.",
)
def tune(
    file: Path | None,
    *,
    target: float,
    embedding_model: str | None,
    limit: int | None,
    plot: Path | None,
    as_json: bool,
    fit: Path | None,
) -> None:
    """Find the similarity threshold for a wanted share of wrong hits on your own data.

    FILE holds labelled pairs (columns a, b, label) or a request log (text, and class or response), as JSON lines
    or CSV; or plain text with one request a line, for hit rates alone.
    """
    if fit is not None:
        _fit(file, fit, embedding_model, limit)
    elif file is not None:
        _tune(file, target, embedding_model, limit, plot, as_json=as_json)
    else:
        raise click.UsageError("name a FILE with your questions, or --fit OUT to calibrate an embedder")


def _fit(file: Path | None, out: Path, embedding_model: str | None, limit: int | None) -> None:
    from semcache_integrations.core.calibration import parse, write
    from semcache_integrations.tuning.calibrate import calibrate
    from semcache_integrations.tuning.data import Stream, read_data

    own = [] if file is None else [read_data(file)]
    streams = [each for each in own if isinstance(each, Stream)]
    if len(streams) < len(own):
        raise ConfigurationError(
            f"{file} holds pairs: a score is fitted to a stream of requests with classes"
        )
    with staged_bar() as progress:
        fitted = calibrate(*streams, embedder=embedding_model, limit=limit, progress=progress)
    known = parse(out.read_bytes()) if out.exists() else {}  # one file may hold several embedders
    out.write_bytes(write({**known, **fitted}))
    (name, calibration), *_ = fitted.items()
    click.echo(f"{name}: calibrated on {calibration.trained_on}")
    for target, score in calibration.thresholds:
        click.echo(f"  {target:.1%} of wrong hits: score {score:.3f}")
    click.echo(f'\nSemanticCache(policy="balanced", calibration={str(out)!r})')


def _tune(
    file: Path,
    target: float,
    embedding_model: str | None,
    limit: int | None,
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    from semcache_integrations.tuning.run import tune as find_threshold

    if plot is not None:
        check_plot(plot)
    with staged_bar() as progress:
        found = find_threshold(file, target=target, embedder=embedding_model, limit=limit, progress=progress)
    if as_json:
        click.echo(found.to_json())
    else:
        console = Console()
        console.print(found)
        console.print()
        click.echo(found.snippet())
    if plot is not None:
        found.plot().savefig(plot)
