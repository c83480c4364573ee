"""Where a Qdrant Edge shard lives: one directory per schema, embedder and dimension, born whole or not at all.

The law: vectors of one embedder never meet those of another, and what cannot work is said at construction
as a `ConfigurationError` that names the way out. Nothing in here reads or writes entries.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

try:
    import qdrant_edge as qe
except ImportError as error:  # pragma: no cover - there is no wheel for a few platforms
    raise ImportError(
        "the embedded store needs qdrant-edge-py (pip install 'qdrant-edge-py>=0.9,<0.10'); where it has no "
        "wheel, run a Qdrant server and pass url="
    ) from error

from semcache_integrations.backends.points import (
    FLOAT_FIELDS,
    KEYWORD_FIELDS,
    NAMESPACE_FIELD,
    SCHEMA_VERSION,
    VECTOR_NAME,
    digest,
    slug,
)
from semcache_integrations.core.errors import ConfigurationError

_METADATA = "semcache.json"
_SHARD = "shard"
_NO_GRAPH = 10_000_000  # kB: optimize() must never build HNSW, which holds the GIL for seconds


@dataclass(frozen=True, slots=True)
class Space:
    """The vector space that a directory holds, as written in its metadata file."""

    embedder: str
    dimension: int
    schema: int = SCHEMA_VERSION

    @property
    def directory_name(self) -> str:
        """A name that people can read and no other space shares."""
        unique = digest((self.schema, self.embedder, self.dimension))
        return f"edge-v{self.schema}-{slug(self.embedder)}-{self.dimension}-{unique}"


def open_shard(root: Path, space: Space) -> qe.EdgeShard:
    """Open the shard of this space under `root`; create it first if it is not there.

    Raises:
        ConfigurationError: Somebody else has it open, the directory cannot be written, or it is damaged or
            of another space.
    """
    home = root / space.directory_name
    with _explained(root, home):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not home.is_dir():
            _create(root, home, space)
        _check_metadata(home, space)
        return qe.EdgeShard.load(str(home / _SHARD), _config(space))


def _create(root: Path, home: Path, space: Space) -> None:
    """Build the directory under another name, then rename it: a crash or a rival leaves no half of one."""
    draft = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=root))
    try:
        (draft / _METADATA).write_text(json.dumps(asdict(space), indent=2), encoding="utf-8")
        shard = qe.EdgeShard.create(str(draft / _SHARD), _config(space))
        _create_indexes(shard)
        shard.close()
        try:
            draft.rename(home)
        except OSError:
            if not home.is_dir():
                raise  # else another process was faster: its directory is as good as ours
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _create_indexes(shard: qe.EdgeShard) -> None:
    create = qe.UpdateOperation.create_field_index
    shard.update(create(NAMESPACE_FIELD, qe.KeywordIndexParams(is_tenant=True)))
    for field in KEYWORD_FIELDS:
        shard.update(create(field, qe.PayloadSchemaType.Keyword))
    for field in FLOAT_FIELDS:
        shard.update(create(field, qe.PayloadSchemaType.Float))
    shard.flush()


def _config(space: Space) -> qe.EdgeConfig:
    vector = qe.EdgeVectorParams(size=space.dimension, distance=qe.Distance.Cosine)
    return qe.EdgeConfig(
        vectors={VECTOR_NAME: vector},
        optimizers=qe.EdgeOptimizersConfig(indexing_threshold=_NO_GRAPH),
        max_search_threads=1,  # the default pool deadlocks in a forked child, and one thread is faster here
        wal_enabled=True,  # survives kill -9, and carries the lock that keeps other processes out
    )


def _check_metadata(home: Path, space: Space) -> None:
    try:
        found = json.loads((home / _METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{home} is not a cache directory of ours, or it is damaged ({error}): delete it or choose another path="
        ) from error
    if found != asdict(space):
        raise ConfigurationError(
            f"{home} holds vectors of {found}, not of {asdict(space)}: delete it or choose another path="
        )


@contextmanager
def _explained(root: Path, home: Path) -> Iterator[None]:
    try:
        yield
    except ConfigurationError:
        raise
    except OSError as error:
        said = error.strerror or error
        raise ConfigurationError(
            f"the cache cannot use path={str(root)!r}: {said}; name a directory that this user may create and write"
        ) from error
    except Exception as error:  # the engine raises bare Exception for everything
        if "WouldBlock" in str(error):
            raise ConfigurationError(
                f"{home} is open already, in this process or another. One store at a time can use a path: share "
                "that one, give each process its own path=, or run a Qdrant server and pass url="
            ) from error
        raise ConfigurationError(
            f"{home} cannot be opened ({error}). If it is damaged, delete it: a cache can be rebuilt"
        ) from error


def free_bytes(directory: Path) -> int:
    """Return how many bytes are free on the disk that holds `directory`."""
    return shutil.disk_usage(directory).free


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path, with `~` replaced.

    Raises:
        ConfigurationError: There is no home directory to put in its place.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(f"path={os.fspath(path)!r} cannot be expanded: {error}") from error
