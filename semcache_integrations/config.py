"""`CacheConfig`: every setting, its bounds and its default; the one place that reads our environment variables.

A setting comes from the keyword argument, else from `SEMCACHE_<NAME>`, else from the default here.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from semcache_integrations.core import guards
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.scoring import FLOOR

_log = logging.getLogger("semcache_integrations")

ENV_PREFIX = "SEMCACHE_"
DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

Similarity = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
WrongShare = Annotated[float, Field(gt=0.0, le=0.2)]
PolicyName = Literal["balanced", "strict", "static", "verified"]

DEFAULT_WRONG_SHARE = 0.02
_LEAST_SIMILARITY: Mapping[PolicyName, float] = {
    "balanced": FLOOR,
    "strict": FLOOR,
    "static": 0.90,
    "verified": FLOOR,
}

Count = Annotated[int, Field(ge=1)]


def _vetoes(value: object) -> object:
    """Read names, also as one text with commas as the environment has them; yes and no are pydantic's to read."""
    if isinstance(value, str) and value.strip().lower() not in _YES_OR_NO:
        value = [name.strip() for name in value.split(",")]
    if not isinstance(value, (list, tuple, set, frozenset)):
        return value
    try:
        return guards.known(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


_YES_OR_NO = frozenset({"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"})
Vetoes = Annotated[bool | frozenset[str], BeforeValidator(_vetoes)]


class CacheConfig(BaseModel):
    """Settings of a `SemanticCache`. Frozen; an unknown name is an error.

    Attributes:
        path: Directory of the embedded store, which then survives restarts; None keeps it in a temporary one.
        url: Address of a Qdrant server, instead of the embedded store.
        api_key: The server's key.
        prefer_grpc: Talk gRPC to the server instead of REST.
        collections: One server collection per LLM model, or one shared by all for gateways with hundreds.
        collection_prefix: First word of every collection's name.
        embedding_model: A fastembed model's name; the default one is installed by `semcache model install`.
        hash_only: Exact repeats only, in memory: no model is loaded, nothing is stored.
        policy: When a similar question shares an answer. `balanced` and `strict` learn from every fresh answer
            which questions do, `verified` learns for each entry how similar is enough, `static` is the plain
            threshold. None means `static` if a `similarity_threshold` is given, else `balanced`.
        similarity_threshold: Least cosine of a semantic hit, in 0-1; None means the policy's own.
        target_wrong_hits: Share of the semantic hits that may be wrong, at most 0.2; None means 0.02, or 0.01 if
            `strict`. With `static` it is the brake's target and needs a `recheck_share`.
        delta: Share of the requests that `verified` may answer wrongly, at most 0.2; None means 0.02.
        recheck_share: Share of the semantic hits that are asked anew all the same, to see whether they would have
            been right; where too many were not, the brake makes the policy stricter.
        calibration: File that `semcache tune --fit` made, for `balanced` and `strict` with an embedder of your own.
        rejection_threshold: Second, stricter bar on what passed the first; None for no second bar.
        top_k: How many neighbours are considered.
        vetoes: Refuse neighbours that differ in numbers, names, negation and the like, however similar: all, none,
            or those named.
        ttl_s: Seconds that an entry lives; None for ever.
        ttl_sliding: An access renews the TTL.
        ttl_cap_s: Seconds after which even a renewed entry expires.
        time_sensitive: What becomes of questions whose answers may be wrong soon, unless a call brings a TTL or an
            age of its own: `short_ttl` keeps them for `time_sensitive_ttl_s`, `bypass` neither looks them up nor
            stores them, `ignore` knows none.
        time_sensitive_ttl_s: Seconds that such an answer may be served.
        max_entries: Most entries in the in-process tier; the least recently used goes first.
        max_bytes: Most bytes of text and payload in the in-process tier.
        local_ttl_s: Seconds for which the in-process tier answers without asking the store again; None
            means no limit for the embedded store, which nobody else writes, and 300 for a server.
        lookup_budget_s: Seconds that the store may take in one look-up, beyond the embedding.
        embed_timeout_s: Seconds that one embedding may take, the loading of the model included.
        verify_timeout_s: Seconds that the verifier may take for one look-up.
        compare_timeout_s: Seconds that one comparison of two answers may take; nobody waits for it.
        background_writes: Write on a thread of our own; None means yes for a server, no for the embedded
            store, whose write takes about as long as the hand-over.
        max_pending_writes: Length of that thread's queue; what does not fit is dropped and counted.
        secret: Keys the namespaces and signs the entries: a foreign or tampered entry is a miss.
        tenant: Tenant of every request that names none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | os.PathLike[str] | None = None
    url: str | None = None
    api_key: SecretStr | None = None
    prefer_grpc: bool = False
    collections: Literal["per_model", "shared"] = "per_model"
    collection_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "semcache"
    embedding_model: Annotated[str, Field(min_length=1)] = DEFAULT_EMBEDDING_MODEL
    hash_only: bool = False
    policy: PolicyName | None = None
    calibration: str | os.PathLike[str] | None = None
    similarity_threshold: Similarity | None = None
    target_wrong_hits: WrongShare | None = None
    delta: WrongShare | None = None
    recheck_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    rejection_threshold: Similarity | None = None
    top_k: Annotated[int, Field(ge=1, le=100)] = 10
    vetoes: Vetoes = True
    ttl_s: Seconds | None = None
    ttl_sliding: bool = False
    ttl_cap_s: Seconds | None = None
    time_sensitive: Literal["bypass", "short_ttl", "ignore"] = "short_ttl"
    time_sensitive_ttl_s: Seconds = 300.0
    max_entries: Count = 10_000
    max_bytes: Count = 64 * 2**20
    local_ttl_s: Seconds | None = None
    lookup_budget_s: Seconds = 0.25
    embed_timeout_s: Seconds = 5.0
    verify_timeout_s: Seconds = 5.0
    compare_timeout_s: Seconds = 30.0
    background_writes: bool | None = None
    max_pending_writes: Count = 1_000
    secret: SecretStr | None = None
    tenant: str = ""

    @model_validator(mode="after")
    def _fits_together(self) -> CacheConfig:
        if self.path is not None and not os.fspath(self.path):
            raise ValueError("path is empty: name a directory, or leave it out for a temporary one")
        if self.path is not None and self.url is not None:
            raise ValueError("give path= (embedded store) or url= (Qdrant server), not both")
        if self.hash_only and (self.path is not None or self.url is not None):
            raise ValueError(
                "hash_only keeps nothing outside this process: drop path=/url=, or drop hash_only"
            )
        if self.rejection_threshold is not None and self.rejection_threshold < least_similarity(self):
            raise ValueError("rejection_threshold is a second bar: it must be at least similarity_threshold")
        self._check_policy()
        if self.ttl_sliding and self.ttl_s is None:
            raise ValueError("ttl_sliding renews ttl_s: give ttl_s as well")
        return self

    def _check_policy(self) -> None:
        name = self.policy_name
        if self.target_wrong_hits is not None and name == "verified":
            raise ValueError('target_wrong_hits is not what policy="verified" keeps: give delta')
        if self.target_wrong_hits is not None and name == "static" and not self.recheck_share:
            raise ValueError(
                'policy="static" keeps a threshold, not target_wrong_hits: drop one of them, or give recheck_share'
            )
        if self.delta is not None and name != "verified":
            raise ValueError('delta is for policy="verified"; the others keep target_wrong_hits')
        if name == "verified" and self.recheck_share:
            raise ValueError('policy="verified" asks anew by itself: drop recheck_share')
        if name == "verified" and self.background_writes is False:
            raise ValueError('policy="verified" writes in the background: drop background_writes')

    @property
    def secret_bytes(self) -> bytes:
        """What digests are keyed with; empty without a `secret`."""
        return b"" if self.secret is None else self.secret.get_secret_value().encode()

    @property
    def policy_name(self) -> PolicyName:
        """The policy in force: whoever states a threshold, and no policy, gets exactly that threshold."""
        if self.policy is not None:
            return self.policy
        return "balanced" if self.similarity_threshold is None else "static"


def least_similarity(config: CacheConfig) -> float:
    """Return the least cosine of a semantic hit; a stated one can only raise that of a policy that learns."""
    stated, own = config.similarity_threshold, _LEAST_SIMILARITY[config.policy_name]
    if stated is None:
        return own
    return stated if config.policy_name == "static" else max(stated, own)


def load_config(config: CacheConfig | None = None, /, **settings: Any) -> CacheConfig:  # Any: pydantic checks
    """Build a `CacheConfig` from a ready one, keyword arguments and `SEMCACHE_*`, in this order of precedence.

    Args:
        config: A ready configuration; keyword arguments override its fields, the environment does not.
        **settings: Fields of `CacheConfig`.

    Raises:
        ConfigurationError: A name is unknown or a value out of bounds; the message says which and why.
    """
    if config is not None and not isinstance(config, CacheConfig):
        raise ConfigurationError(
            f"config must be a CacheConfig, not a {type(config).__name__}; settings are named: path=…, url=…"
        )
    base: Mapping[str, Any] = config.model_dump(exclude_unset=True) if config else _from_environment()
    try:
        return CacheConfig.model_validate({**base, **settings})
    except ValidationError as error:
        said_by_environment = set() if config else set(base) - set(settings)
        raise ConfigurationError(_explain(error, said_by_environment)) from None


def model_directory() -> Path:
    """Where installed embedding models live: `SEMCACHE_MODEL_DIR`, else a folder in the user's cache."""
    chosen = os.environ.get(ENV_PREFIX + "MODEL_DIR")
    return Path(chosen).expanduser() if chosen else _user_cache() / "semcache" / "models"


def fastembed_cache_directory() -> Path:
    """Where fastembed keeps what it downloaded itself, by the rules of its own `define_cache_dir`."""
    return Path(os.environ.get("FASTEMBED_CACHE_PATH") or Path(tempfile.gettempdir()) / "fastembed_cache")


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return cache if cache.is_absolute() else Path.home() / ".cache"  # the XDG standard: ignore relative paths


def _from_environment() -> dict[str, str]:
    names = {ENV_PREFIX + name.upper(): name for name in CacheConfig.model_fields}
    for key in os.environ:
        if (
            key.startswith(ENV_PREFIX)
            and key not in names
            and (meant := get_close_matches(key, names, 1, 0.85))
        ):
            _log.warning(
                "%s sets nothing: is %s meant?", key, meant[0]
            )  # others may use our prefix, so no error
    return {names[key]: value for key, value in os.environ.items() if key in names and value != ""}


def _explain(error: ValidationError, said_by_environment: Collection[str]) -> str:
    lines = ["the cache's configuration cannot work:"]
    for problem in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"])
        what = problem["msg"].removeprefix("Value error, ")
        if where in said_by_environment:
            where = ENV_PREFIX + where.upper()
        if problem["type"] == "extra_forbidden":
            what = _suggest(where)
        lines.append(f"  {where + ': ' if where else ''}{what}")
    return "\n".join(lines)


_BARE_THRESHOLDS = frozenset({"threshold", "score_threshold", "similarity", "distance_threshold"})


def _suggest(name: str) -> str:
    known = sorted(CacheConfig.model_fields)
    meant = ["similarity_threshold"] if name in _BARE_THRESHOLDS else get_close_matches(name, known, 1)
    return (
        f"no such setting; is {meant[0]} meant?"
        if meant
        else f"no such setting; there are: {', '.join(known)}"
    )
