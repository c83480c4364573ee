"""Options that several commands share, and what is checked of them before minutes of work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from semcache_integrations.core.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])  # Any: a command has the arguments that its options make

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")

plot_option = click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the chart to this file; its suffix says the format.",
)


def target_option(meaning: str) -> Callable[[F], F]:
    """Return the option `--target`, a share of wrong hits."""
    share = click.FloatRange(0, 1, min_open=True, max_open=True)
    return click.option("--target", type=share, default=0.02, show_default=True, help=meaning)


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
