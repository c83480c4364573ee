"""Canonical form -> namespace, fingerprint, point id, signature: the one place where keys are made.

The law: two requests share a key only if no provider could tell them apart. Numbers are canonical
(`0` and `0.0`), key order is irrelevant, None and absent are equal; anything without a canonical form is
an `UnkeyableError`, never a guess.
"""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

import orjson

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.models import CacheEntry, CacheRequest

SCHEMA_VERSION = 1
"""Part of every namespace: entries written under other rules are never read."""

_LONGEST_SCOPE = 512  # characters; a longer one is kept as its digest, so that long histories cost no memory
_EXACT_FLOAT = 2.0**53  # beyond it a float no longer names one integer
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1  # orjson's range
_AS_IT_STANDS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_MARK = "\x00"  # no provider's parameter name begins with NUL, so tagged values collide with nothing


def canonical(value: object) -> object:
    """Return the JSON-like form that all equal values share.

    Raises:
        UnkeyableError: the value, or something in it, has no canonical form.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, (dict, Mapping)):
        return _mapping(value)
    return _unusual(value)


def _mapping(value: Mapping[Any, object]) -> dict[str, object]:
    stated = [(_name(name), canonical(item)) for name, item in value.items() if item is not None]
    named = dict(stated)
    if len(named) < len(stated):
        raise UnkeyableError("two of a mapping's keys are the same in JSON")
    return named


def _integer(value: int) -> object:
    return value if _LEAST_INTEGER <= value <= _MOST_INTEGER else {_MARK + "int": str(value)}


def _number(value: float) -> object:
    if value.is_integer() and abs(value) < _EXACT_FLOAT:
        return int(value)
    return value if value - value == 0 else {_MARK + "float": repr(value)}  # inf and nan are null to orjson


def _name(name: object) -> str:
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise UnkeyableError(f"a mapping key of type {type(name).__name__} has no canonical form")
    if isinstance(name, str) and name.startswith(_MARK):
        raise UnkeyableError("a mapping key must not begin with NUL")
    # A subclass may say anything in its own __str__: two enums of one name would look alike.
    return str.__str__(name) if isinstance(name, str) else int.__repr__(name)


def _unusual(value: object) -> object:
    if isinstance(value, Enum):
        return canonical(value.value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_MARK + "bytes": blake2b(value, digest_size=32).hexdigest()}
    if isinstance(value, (set, frozenset)):
        return {_MARK + "set": sorted(_dump(canonical(item)) for item in value)}
    schema = getattr(value, "model_json_schema", None)
    if isinstance(value, type) and callable(schema):  # two classes of one name are two schemas
        return {_MARK + "schema": canonical(schema())}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return canonical(dump())
    raise UnkeyableError(f"a value of type {type(value).__name__} has no canonical form")


def canonical_json(value: object) -> str:
    """Return the canonical form as JSON.

    Most values are canonical as they stand, and orjson alone is then ten times as fast as `canonical`. So
    its output is searched for whatever could be otherwise: a float that is an integer, a None (or inf or
    nan, which orjson writes as null), a NUL; what it refuses to write at all needs `canonical` too. The
    search is in a `str` because that takes a fifth of the time that it takes in `bytes`.

    Raises:
        UnkeyableError: something in the value has no canonical form.
        TypeError: a string is not valid Unicode, or a container holds itself.
    """
    try:
        written = orjson.dumps(value, option=_AS_IT_STANDS).decode()
    except TypeError:
        return _dump(canonical(value))
    if ".0" in written or "null" in written or "\\u0000" in written:
        return _dump(canonical(value))
    return written


def _dump(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _stated(context: object) -> object:
    """Return the context; nothing said in any form is one form, but 0 and False are said."""
    return context if context or isinstance(context, (bool, int, float)) else ()


def canonical_text(text: str) -> str:
    """Return the form of a question that all its spellings share: trimmed, Unicode-composed (NFC)."""
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def encodable(payload: str) -> str:
    """Return the payload if every store can keep it.

    Raises:
        UnkeyableError: it is not valid Unicode (a lone surrogate).
    """
    if not payload.isascii():
        try:
            payload.encode()
        except UnicodeEncodeError:
            raise UnkeyableError("the payload is not valid Unicode") from None
    return payload


class Keyring:
    """Derives all keys of one cache.

    Args:
        secret: Keys every digest when given: contents cannot be probed, and entries are signed.
        space: Identity of the vector space; another embedder means other namespaces.
    """

    __slots__ = ("_key", "_space", "signs")

    def __init__(self, secret: bytes = b"", *, space: str = "") -> None:
        self._key = blake2b(secret, digest_size=32, person=b"semcache-key").digest() if secret else b""
        self._space = space
        self.signs = bool(secret)

    def scope(self, request: CacheRequest, tenant: object) -> str:
        """Return all of `request` that must match exactly, in canonical form.

        The fields are JSON-quoted members of one array, so no two different requests share a scope.

        Raises:
            UnkeyableError: a parameter or the context has no canonical form.
        """
        try:
            scope = canonical_json(
                (request.dialect, tenant, request.model, request.params or {}, _stated(request.context))
            )
        except UnkeyableError:
            raise
        except Exception as error:  # noqa: BLE001 - a cycle, a surrogate, or whatever a stranger's own code raises
            raise UnkeyableError(f"the request has no canonical form: {type(error).__name__}") from None
        return scope if len(scope) <= _LONGEST_SCOPE else self._digest(b"scope", scope.encode()).hexdigest()

    def namespace(self, scope: str) -> str:
        """Return the namespace's id: 32 hexadecimal digits."""
        return self._digest(b"space", f"{SCHEMA_VERSION}|{self._space}|{scope}".encode()).hexdigest()[:32]

    def entry_id(self, namespace_id: str, text: str) -> str:
        """Return the point id of a canonical text, the same each time, so that writes are idempotent.

        It is a UUID of version 8, RFC 9562's kind for digests that are not SHA-1 (uuid5 takes twice as long).

        Raises:
            UnkeyableError: the text cannot be encoded (a lone surrogate).
        """
        try:
            digits = self._digest(b"entry", f"{namespace_id}|{text}".encode()).hexdigest()
        except UnicodeEncodeError:
            raise UnkeyableError("the text is not valid Unicode") from None
        return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"

    def seal(self, entry: CacheEntry) -> CacheEntry:
        """Return the entry with its signature, or as it is if this cache has no secret."""
        return replace(entry, signature=self._sign(entry)) if self.signs else entry

    def genuine(self, entry: CacheEntry) -> bool:
        """Whether the entry is one that a cache with this secret wrote, unchanged."""
        return not self.signs or compare_digest(entry.signature, self._sign(entry))

    def _sign(self, entry: CacheEntry) -> str:
        standing = entry.standing
        fields = (
            entry.id,
            entry.namespace.id,
            entry.text,
            entry.payload,
            repr(float(entry.created_at)),  # a store gives 60 back as 60.0
            repr(float(entry.expires_at)),
            repr(None if entry.ttl_s is None else float(entry.ttl_s)),
            entry.tags,
            (standing.group, standing.quarantined),
            [(repr(float(similarity)), same) for similarity, same in standing.seen],
        )
        return self._digest(b"entry-seal", _dump(fields).encode()).hexdigest()

    def _digest(self, purpose: bytes, data: bytes) -> blake2b:
        return blake2b(data, digest_size=32, key=self._key, person=purpose)
