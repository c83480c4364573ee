"""The click application and what all commands share: errors as one red line, version, shell completion.

A command lives in a module of its own that imports only click and rich at its top; add it to `COMMANDS`.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any, Final

import click
from click.shell_completion import get_completion_class

from semcache_integrations.cli import CONFIGURATION_ERROR_EXIT
from semcache_integrations.cli.bench import bench
from semcache_integrations.cli.demo import demo
from semcache_integrations.cli.loadtest import loadtest
from semcache_integrations.cli.model import model
from semcache_integrations.cli.serve import serve
from semcache_integrations.cli.tune import tune
from semcache_integrations.core.errors import ConfigurationError


class Failure(click.ClickException):
    """A `ConfigurationError` on its way to the terminal: red, without a traceback."""

    exit_code = CONFIGURATION_ERROR_EXIT

    def show(self, file: IO[Any] | None = None) -> None:  # Any: click's own signature
        """Print the message to `file`, by default the standard error stream."""
        click.secho(f"semcache: {self.format_message()}", fg="red", file=file, err=True)


class Application(click.Group):
    """A group whose commands may raise `ConfigurationError`."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn what the user can mend into a `Failure`."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise Failure(str(error)) from error


def _version() -> str:
    try:
        return version("semcache-integrations")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0 (not installed)"


@click.group(cls=Application, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="semcache")
def app() -> None:
    """A semantic cache for LLM calls."""


@app.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL; bash: eval "$(semcache completion bash)"."""
    complete = get_completion_class(shell)
    if complete is None:
        raise ConfigurationError(f"this click has no completion for {shell}: update click")
    click.echo(complete(app, {}, "semcache", "_SEMCACHE_COMPLETE").source())


COMMANDS: Final = (bench, demo, loadtest, model, serve, tune)
for command in COMMANDS:
    app.add_command(command)
