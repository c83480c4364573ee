"""The labelled streams that come with this package; `data/README.md` says whose they are."""

from __future__ import annotations

from importlib.resources import as_file, files
from random import Random
from typing import Final

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.tuning.data import Request, Stream, read_data

MIXED: Final = "mixed"
_FILES: Final = ("slot", "banking77")
STREAMS: Final = (*_FILES, MIXED)
_MIXING_SEED: Final = 20260101


def load_stream(name: str, *, limit: int | None = None, order: int = 0) -> Stream:
    """Return a labelled stream: `slot`, `banking77`, or both `mixed` in one order.

    Args:
        name: One of `STREAMS`.
        limit: Most requests, None for all.
        order: 0 for the order in which it is shipped; any other number shuffles it by that seed.

    Raises:
        ConfigurationError: there is no stream of this name.
    """
    if name not in STREAMS:
        raise ConfigurationError(f"there is no stream {name!r}; there are: {', '.join(STREAMS)}")
    rows = [row for part in (_FILES if name == MIXED else (name,)) for row in _read(part)]
    if order or name == MIXED:
        Random(_MIXING_SEED + order).shuffle(rows)  # noqa: S311 - an order to repeat, not a secret
    return Stream(name, tuple(rows[:limit]))


def _read(name: str) -> tuple[Request, ...]:
    with as_file(files(__package__).joinpath(f"data/{name}.jsonl.gz")) as path:
        stream = read_data(path)
    if not isinstance(stream, Stream):
        raise ConfigurationError(f"the file of the stream {name} is damaged: install the package again")
    return stream.rows
