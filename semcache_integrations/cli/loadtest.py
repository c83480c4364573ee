"""`semcache loadtest`: bounded load on a proxy, and whether its answers are right. The work is done in `loadtest`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # Any: click's own signatures

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from semcache_integrations.cli.options import json_option
from semcache_integrations.core.errors import ConfigurationError

if TYPE_CHECKING:
    from semcache_integrations.loadtest.plan import Plan
    from semcache_integrations.loadtest.run import Where
    from semcache_integrations.loadtest.users import Load

_SHARE = click.FloatRange(0, 1)


def _seconds(_ctx: click.Context, _param: click.Parameter, written: str | None) -> float | None:
    """Read a time: `5`, `5s`, `1m30s`."""
    from semcache_integrations.loadtest.plan import seconds_of

    try:
        return None if written is None else seconds_of(written)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("url", required=False)
@click.option("--users", type=click.IntRange(1, 2_000), default=5, show_default=True, help="How many ask.")
@click.option(
    "--spawn-rate",
    type=click.FloatRange(0, 500, min_open=True),
    default=5,
    show_default=True,
    help="How many of them come in a second.",
)
@click.option(
    "--time",
    "seconds",
    callback=_seconds,
    metavar="TIME",
    default="5s",
    show_default=True,
    help="How long: 5s, 1m; an hour at most.",
)
@click.option("--requests", type=click.IntRange(min=1), help="Stop after so many requests.")
@click.option(
    "--repeat-share", "repeat", type=_SHARE, help="Share of repeats; by default as in the shipped questions."
)
@click.option(
    "--reword-share", "reword", type=_SHARE, help="Share of rewordings; the rest are new questions."
)
@click.option(
    "--stream-share",
    type=_SHARE,
    default=0.25,
    show_default=True,
    help="Share of requests that want a stream.",
)
@click.option(
    "--pause",
    "pause_s",
    callback=_seconds,
    metavar="TIME",
    default="0",
    show_default=True,
    help="Average time that a user waits between two questions.",
)
@click.option(
    "--max-wrong",
    type=_SHARE,
    default=0.05,
    show_default=True,
    help="Most wrong hits per hit; more is exit code 1.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds ask the same questions.")
@click.option("--model", default="gpt-4o-mini", show_default=True, help="The model that is asked.")
@click.option(
    "--api-key", envvar="SEMCACHE_LOADTEST_API_KEY", help="The key that is sent to URL, for its upstream."
)
@click.option(
    "--admin-token",
    envvar="SEMCACHE_LOADTEST_ADMIN_TOKEN",
    help="Lets URL delete what the test stored, where it wants one.",
)
@click.option(
    "--latency",
    callback=_seconds,
    metavar="TIME",
    help="What the provider of its own takes, in the median; by default 0.2 s.",
)
@click.option("--locustfile", is_flag=True, help="Print a ready file for locust, and do nothing else.")
@json_option
def loadtest(url: str | None, *, max_wrong: float, locustfile: bool, as_json: bool, **options: Any) -> None:
    """Put load on a proxy: throughput, latency by tier, errors, and how many hits were wrong.

    URL is a proxy that runs, such as http://127.0.0.1:8080; its misses go to its upstream, and cost what they cost
    there. Without a URL the test starts a proxy and a provider of its own: no key, no network, no costs.

    It asks labelled questions in namespaces of its own, and deletes afterwards what it stored, by its own tag. Other
    entries are not touched. Exit code 1 if a request failed, or too many hits were wrong.
    """
    if locustfile:
        click.echo(_locustfile(), nl=False)
        return
    plan, where = _plan(options), _where(url, options)
    from semcache_integrations.loadtest.run import run

    with _bar(plan) as show:
        report = run(plan, where, show)
    if as_json:
        click.echo(report.to_json())
    else:
        Console().print(report, highlight=False)
    _complain(report.complaints(max_wrong))


def _complain(complaints: Sequence[str]) -> None:
    """Say what failed, if anything did, and end the process so."""
    for complaint in complaints:
        click.secho(f"semcache: {complaint}", fg="red", err=True)
    if complaints:
        sys.exit(1)


def _plan(options: dict[str, Any]) -> Plan:
    from semcache_integrations.loadtest.mix import shipped_shares
    from semcache_integrations.loadtest.plan import Plan

    names = ("users", "spawn_rate", "seconds", "requests", "stream_share", "pause_s", "seed", "model")
    shares = shipped_shares().stated(options["repeat"], options["reword"])
    return Plan(shares=shares, **{name: options[name] for name in names})


def _where(url: str | None, options: dict[str, Any]) -> Where:
    """Return what is to be asked.

    Raises:
        ConfigurationError: the proxy's own libraries are missing, or an option has no meaning here.
    """
    try:
        from semcache_integrations.loadtest.run import LATENCY_S, Where
    except ImportError as error:
        raise ConfigurationError(
            f"the load test needs {error.name}: pip install 'semcache-integrations[server]'"
        ) from error
    latency, key = options["latency"], options["api_key"]
    if url is not None and latency is not None:
        raise ConfigurationError("--latency is for the provider of the test's own: leave it out, or the URL")
    return Where(
        url=url,
        headers={"authorization": f"Bearer {key}"} if key and url is not None else {},
        admin_token=options["admin_token"] or "",
        latency_s=LATENCY_S if latency is None else latency,
    )


@contextmanager
def _bar(plan: Plan) -> Iterator[Callable[[Load], None]]:
    """Give a function that shows how far a run is, on the standard error stream."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting", total=plan.seconds, told="")

        def show(load: Load) -> None:
            bar.update(task, description="Asking", completed=load.elapsed_s, told=_told(load))

        yield show


def _told(load: Load) -> str:
    tally = load.tally
    said = f"{load.elapsed_s:.0f} s · {load.came:,} users · {tally.requests:,} requests · {tally.hits:,} hits"
    wrong = f" · [red]{tally.wrong:,} wrong[/red]" if tally.wrong else ""
    failed = f" · [red]{tally.errors.total():,} failed[/red]" if tally.errors else ""
    return said + wrong + failed


def _locustfile() -> str:
    from importlib.resources import files

    return files("semcache_integrations.loadtest").joinpath("locustfile.py").read_text(encoding="utf-8")
