"""How the cache is laid out on a Qdrant server: names of collections, their settings and their indexes.

The law: no two vector spaces and, per model, no two models share a collection, not even by an accident of
spelling; and the server itself refuses a vector query that forgot its namespace (strict mode, `m=0`, no exact
search: it then demands a filter on the tenant field). Nothing in here talks to a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from qdrant_client import models as m

from semcache_integrations.backends.points import (
    FLOAT_FIELDS,
    KEYWORD_FIELDS,
    NAMESPACE_FIELD,
    SCHEMA_VERSION,
    VECTOR_NAME,
    Condition,
    HasId,
    Match,
    digest,
    slug,
)
from semcache_integrations.core.errors import StoreError

Collections: TypeAlias = Literal["per_model", "shared"]

PAGE: Final = 500
"""Points per page where whole collections are walked."""

_MAX_LIMIT: Final = 1_000
_MAX_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class Layout:
    """Names and settings for one vector space.

    Attributes:
        prefix: First word of every name.
        embedder: `Embedder.name`.
        dimension: Floats per vector.
        collections: One collection per LLM model, or one for all.
    """

    prefix: str
    embedder: str
    dimension: int
    collections: Collections = "per_model"

    @property
    def stem(self) -> str:
        """What all names of this space begin with; the digest keeps other spaces and prefixes out."""
        unique = digest((self.prefix, SCHEMA_VERSION, self.embedder, self.dimension))
        return f"{self.prefix}_v{SCHEMA_VERSION}_{slug(self.embedder)}-{unique}_{self.dimension}_"

    def name_for(self, model: str) -> str:
        """Return the collection for this LLM model: at most 255 letters, digits, `-` and `_`."""
        if self.collections == "shared":
            return f"{self.stem}shared"
        return f"{self.stem}{slug(model, 64)}-{digest((model,))}"

    def owns(self, name: str) -> bool:
        """Whether a collection of this name belongs to this space."""
        return name.startswith(self.stem)

    @property
    def metadata(self) -> dict[str, object]:
        """What a collection says about itself."""
        return {"semcache_schema": SCHEMA_VERSION, "embedder": self.embedder, "dimension": self.dimension}

    def settings(self) -> dict[str, object]:
        """Return the arguments of `create_collection`, beyond the name."""
        return {
            "vectors_config": {VECTOR_NAME: m.VectorParams(size=self.dimension, distance=m.Distance.COSINE)},
            "hnsw_config": m.HnswConfigDiff(m=0, payload_m=16, ef_construct=100),  # one graph per namespace
            "optimizers_config": m.OptimizersConfigDiff(default_segment_number=2, max_optimization_threads=1),
            "strict_mode_config": m.StrictModeConfig(
                enabled=True,
                unindexed_filtering_retrieve=False,
                unindexed_filtering_update=False,
                max_query_limit=_MAX_LIMIT,
                upsert_max_batchsize=_MAX_BATCH,
                search_allow_exact=False,
            ),
            "metadata": self.metadata,
        }

    def mismatch(self, info: m.CollectionInfo) -> str:
        """Return what is wrong with an existing collection of one of our names; empty if nothing."""
        vectors = info.config.params.vectors
        vector = vectors.get(VECTOR_NAME) if isinstance(vectors, dict) else None
        if vector is None or vector.size != self.dimension or vector.distance != m.Distance.COSINE:
            return f"it has no cosine vector {VECTOR_NAME!r} of {self.dimension} dimensions"
        found = info.config.metadata
        if found is not None and any(found.get(key) != value for key, value in self.metadata.items()):
            return f"it says that it holds {found}, not {self.metadata}"
        return ""

    def check(self, name: str, info: m.CollectionInfo) -> None:
        """Refuse a collection that holds something else.

        Raises:
            StoreError: It does; the message names the remedy.
        """
        wrong = self.mismatch(info)
        if wrong:
            raise StoreError(
                f"collection {name!r} is not usable: {wrong}. Delete it, or choose another collection_prefix"
            )


def indexes() -> dict[str, m.PayloadSchemaType | m.KeywordIndexParams | m.FloatIndexParams]:
    """Return the payload indexes by field; they must exist before the first point does."""
    # payload_m links a graph for every indexed field: only the namespace is worth one
    keyword = m.KeywordIndexParams(type=m.KeywordIndexType.KEYWORD, enable_hnsw=False)
    number = m.FloatIndexParams(type=m.FloatIndexType.FLOAT, enable_hnsw=False)
    tenant = m.KeywordIndexParams(type=m.KeywordIndexType.KEYWORD, is_tenant=True)
    return {
        NAMESPACE_FIELD: tenant,
        **dict.fromkeys(KEYWORD_FIELDS, keyword),
        **dict.fromkeys(FLOAT_FIELDS, number),
    }


def filter_of(conditions: list[Condition]) -> m.Filter:
    """Return the server's filter for these conditions; none of them selects everything."""
    return m.Filter(must=[_condition(condition) for condition in conditions])


def _condition(condition: Condition) -> m.FieldCondition | m.HasIdCondition:
    if isinstance(condition, Match):
        return m.FieldCondition(key=condition.field, match=m.MatchValue(value=condition.value))
    if isinstance(condition, HasId):
        return m.HasIdCondition(has_id=list(condition.ids))
    return m.FieldCondition(key=condition.field, range=m.Range(**{condition.operator: condition.value}))
