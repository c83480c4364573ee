"""What the surrounding code says of the calls inside it: whose they are, and whether they may use the cache.

A ContextVar carries it through threads pools that copy contexts, asyncio tasks and every framework's
path; it holds for all caches of this package used inside the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

from semcache_integrations.core import guards


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds for the calls in a block.

    Attributes:
        tenant: Added to the tenant of every request.
        tags: Added to the tags of every stored entry.
        without_vetoes: Names of the vetoes that are not asked.
        mode: `use` the cache, `refresh` it (store without look-up) or `bypass` it (neither).
    """

    tenant: str = ""
    tags: tuple[str, ...] = ()
    without_vetoes: frozenset[str] = frozenset()
    mode: Literal["use", "refresh", "bypass"] = "use"

    def readable(self, tenant: str) -> str:
        """Return the name, for people and for filters, of the tenant that a request of `tenant` belongs to here."""
        return f"{tenant}/{self.tenant}" if tenant and self.tenant else tenant or self.tenant


NOTHING_SAID = Surroundings()
surroundings: ContextVar[Surroundings] = ContextVar("semcache_surroundings", default=NOTHING_SAID)


@contextmanager
def scope(
    *, tenant: str | None = None, tags: Iterable[str] = (), without_vetoes: Iterable[str] = ()
) -> Iterator[None]:
    """Let the calls in the block belong to `tenant` and carry `tags`.

    Args:
        tenant: Whose calls these are; an inner block's tenant replaces the outer one's.
        tags: Labels for `invalidate(tag=…)`, added to those of outer blocks.
        without_vetoes: Names of lexical vetoes that look-ups in the block do not ask, added to those of outer blocks.
            What passes without them is served there only.

    Raises:
        ConfigurationError: There is no such veto.
    """
    outer = surroundings.get()
    whose = outer.tenant if tenant is None else tenant_name(tenant)
    without = outer.without_vetoes | guards.known(without_vetoes)
    inner = replace(outer, tags=(*outer.tags, *labels(tags)), tenant=whose, without_vetoes=without)
    with Holding(inner):
        yield


def tenant_name(tenant: str) -> str:
    """Return the tenant.

    Raises:
        TypeError: it is no string; 3 and "3" would be two tenants, of which only one can be named in `invalidate`.
    """
    if not isinstance(tenant, str):
        raise TypeError(f"a tenant is a str, not {tenant!r}")
    return tenant


def labels(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags as a tuple.

    Raises:
        TypeError: they are one string, which would be split into letters, or one of them is no string.
    """
    listed = () if isinstance(tags, str) else tuple(tags)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in listed):
        raise TypeError(f"tags must be a list of str, not {tags!r}")
    return listed


@contextmanager
def bypass() -> Iterator[None]:
    """Let the calls in the block neither read nor write the cache."""
    with Holding(replace(surroundings.get(), mode="bypass")):
        yield


@contextmanager
def refresh() -> Iterator[None]:
    """Let the calls in the block go upstream and overwrite what is cached."""
    with Holding(replace(surroundings.get(), mode="refresh")):
        yield


class Holding:
    """A block in which just this holds, whatever holds around it; a class, because streams open one for each chunk.

    Args:
        said: What holds.
    """

    __slots__ = ("_said", "_token")

    def __init__(self, said: Surroundings) -> None:
        self._said = said

    def __enter__(self) -> None:
        self._token = surroundings.set(self._said)

    def __exit__(self, *_raised: object) -> None:
        surroundings.reset(self._token)
