"""Who is at fault? Every exception class of this package; beside them only `TypeError`, for an argument of a wrong type.

* SemcacheError
  x ConfigurationError   you did: raised loudly, at construction, and says what to do
  x UnkeyableError       the request cannot be keyed: the call goes on, uncached
  x BackendError         the world did: the look-up becomes a `Miss`, the call goes on
    + EmbeddingError     the embedder failed, hung or returned garbage
    + StoreError         the store failed, hung or returned garbage
"""


class SemcacheError(Exception):
    """Base class of every exception that this package raises."""


class ConfigurationError(SemcacheError):
    """The cache is set up in a way that cannot work; the message says how to mend it."""


class UnkeyableError(SemcacheError):
    """A request holds a value that has no stable canonical form, so it must never be cached."""


class BackendError(SemcacheError):
    """An embedder, a store or a verifier failed; never raised into a user's LLM call."""


class EmbeddingError(BackendError):
    """The embedder failed, hung or returned a vector that cannot be used."""


class StoreError(BackendError):
    """The store failed, hung or returned something that cannot be read."""
