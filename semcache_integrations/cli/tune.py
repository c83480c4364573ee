"""`semcache tune`: the threshold for one's own data, in the terminal. The work is done in `tuning`."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem
from rich.console import Console

from semcache_integrations.cli.bars import staged_bar
from semcache_integrations.core.errors import ConfigurationError


def complete_model(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the installed embedding models to the shell."""
    from semcache_integrations.backends import model_files

    names = sorted({each.model.manifest.name for each in model_files.status()})
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--target",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.02,
    show_default=True,
    help="Most wrong hits per hit.",
)
@click.option(
    "--embedding-model",
    metavar="NAME",
    shell_complete=complete_model,
    help="Instead of the configured one; litellm:<model> asks LiteLLM.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Read only so many rows, the first ones.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the chart to this file; its suffix says the format.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def tune(
    file: Path,
    *,
    target: float,
    embedding_model: str | None,
    limit: int | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Find the similarity threshold for a wanted share of wrong hits on your own data.

    FILE holds labelled pairs (columns a, b, label) or a request log (text, and class or response), as JSON lines
    or CSV; or plain text with one request a line, for hit rates alone.
    """
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


def check_plot(path: Path) -> None:
    """Say now, not after minutes of work, that a chart cannot be written.

    Raises:
        ConfigurationError: matplotlib is missing, or cannot write this format or into this folder.
    """
    from semcache_integrations.tuning.plots import Chart

    formats = Chart().canvas.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in formats:
        raise ConfigurationError(f"{path.name}: no chart can be written so; end it in .png, .svg or .pdf")
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"{path.parent} is no folder: make it, or write the chart elsewhere")
