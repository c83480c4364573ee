"""What an entry looks like inside Qdrant: it comes back whole or not at all."""

from __future__ import annotations

import json
import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.backends.points import (
    STORED_NEVER,
    candidates_in,
    conditions_of,
    digest,
    entry_in,
    entry_of,
    is_point_id,
    payload_of,
    slug,
    stored_expiry,
    unit_list,
)
from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import NEVER, UNKNOWN, CacheEntry, Namespace, Selector, Standing

moments = st.floats(0.0, 4e9)
entries = st.builds(
    CacheEntry,
    id=st.uuids().map(str),
    namespace=st.builds(Namespace, st.text(), st.text(), st.text(), st.text()),
    text=st.text(),
    payload=st.text(),
    created_at=moments,
    expires_at=moments | st.just(NEVER),
    ttl_s=st.none() | moments,
    tags=st.lists(st.text(), max_size=3).map(tuple),
    signature=st.text(),
    standing=st.builds(
        Standing,
        st.text(),
        st.booleans(),
        st.lists(st.tuples(st.floats(-1.0, 1.0), st.booleans()), max_size=3).map(tuple),
    ),
)


@given(entries)
def test_an_entry_survives_json(entry):
    payload = json.loads(json.dumps(payload_of(entry), allow_nan=False))
    assert entry_in(entry.namespace, entry.id, payload) == entry


ABOUT_THE_NAMESPACE = {"model", "tenant", "dialect"}  # for filters and people; the id is a digest over them
READ_BACK = sorted(payload_of(CacheEntry("", Namespace(""), "", "", 0.0)).keys() - ABOUT_THE_NAMESPACE)


@given(entries, st.sampled_from(READ_BACK), st.data())
def test_a_damaged_payload_is_none(entry, name, data):
    payload = payload_of(entry)
    missing = {key: value for key, value in payload.items() if key != name}
    assert entry_in(entry.namespace, entry.id, missing) is None
    payload[name] = data.draw(st.sampled_from([{"x": 1}, [1], b"x"]))
    assert entry_in(entry.namespace, entry.id, payload) is None


LEARNED = {"group": "g", "quarantined": False, "seen": [[0.9, True]]}
ODD = [
    [],
    "x",
    {},
    {**LEARNED, "group": 1},
    {**LEARNED, "quarantined": 0},
    {**LEARNED, "seen": {}},
    {**LEARNED, "seen": [0.9]},
    {**LEARNED, "seen": [[0.9]]},
    {**LEARNED, "seen": [["0.9", True]]},
    {**LEARNED, "seen": [[0.9, 1]]},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_entry_with_an_unreadable_standing_is_unreadable(odd):
    """It may be quarantined: to read it as if nothing were known would serve it."""
    payload = payload_of(CacheEntry("x", Namespace("n"), "q", "a", 1.0))
    assert entry_in(Namespace("n"), "x", {**payload, "standing": LEARNED}) is not None
    assert entry_in(Namespace("n"), "x", {**payload, "standing": odd}) is None


def test_a_payload_without_a_standing_is_one_about_which_nothing_is_known():
    payload = payload_of(CacheEntry("x", Namespace("n"), "q", "a", 1.0))
    assert "standing" not in payload
    assert entry_in(Namespace("n"), "x", payload).standing == UNKNOWN


@given(entries)
def test_an_entry_found_by_its_id_knows_its_namespace(entry):
    assert entry_of(entry.id, payload_of(entry)) == entry


def test_a_payload_that_names_no_namespace_is_none():
    payload = payload_of(CacheEntry("x", Namespace("n"), "q", "a", 1.0))
    assert entry_of("x", None) is None
    assert entry_of("x", {**payload, "tenant": None}) is None


def test_no_payload_and_another_schema_are_none():
    payload = payload_of(CacheEntry("x", Namespace("n"), "q", "a", 1.0))
    assert entry_in(Namespace("n"), "x", None) is None
    assert entry_in(Namespace("n"), "x", {}) is None
    assert entry_in(Namespace("n"), "x", {**payload, "v": 2}) is None
    assert entry_in(Namespace("n"), "x", payload) is not None


def test_an_entry_is_opened_in_its_own_namespace_only():
    payload = payload_of(CacheEntry("x", Namespace("mine"), "q", "a", 1.0))
    assert entry_in(Namespace("mine"), "x", payload) is not None
    assert entry_in(Namespace("yours"), "x", payload) is None


class Found:
    id, score = uuid.UUID(int=7), 0.5

    def __init__(self, payload):
        self.payload = payload


def test_neighbours_that_are_foreign_or_unreadable_are_left_out():
    mine, yours = (payload_of(CacheEntry("", Namespace(name), "q", "a", 1.0)) for name in ("mine", "yours"))
    found = candidates_in(Namespace("mine"), [Found(yours), Found({"v": 1}), Found(None), Found(mine)])
    assert [(one.entry.id, one.similarity) for one in found] == [(str(Found.id), 0.5)]


@pytest.mark.parametrize("name", ["created_at", "ttl_s"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_time_that_json_cannot_say_is_refused(name, value):
    fields = {"created_at": 1.0, "ttl_s": None, name: value}
    with pytest.raises(StoreError, match=name):
        payload_of(CacheEntry("x", Namespace("n"), "q", "a", **fields))


def test_never_is_stored_as_a_number_and_nan_not_at_all():
    assert stored_expiry(NEVER) == STORED_NEVER
    assert stored_expiry(-math.inf) == -STORED_NEVER
    with pytest.raises(StoreError, match="NaN"):
        stored_expiry(math.nan)


def test_a_selector_that_nothing_can_meet_is_told_from_one_that_everything_meets():
    assert conditions_of(Selector()) == []
    assert conditions_of(Selector(expired_at=math.inf)) == []
    assert conditions_of(Selector(ids=("no uuid",))) is None
    assert conditions_of(Selector(expired_at=math.nan)) is None
    assert conditions_of(Selector(created_before=math.nan)) is None


@pytest.mark.parametrize(
    "bad", [[1.0, 0.0], [0.0, 0.0, 0.0], [math.nan, 1.0, 0.0], [1e300, 1e300, 0.0], ["x", 1, 2]]
)
def test_a_vector_that_has_no_direction_here_is_refused(bad):
    with pytest.raises(StoreError):
        unit_list(bad, 3)


def test_a_vector_may_be_any_sequence():
    numpy = pytest.importorskip("numpy")
    for vector in ([1.0, 0.0], (1.0, 0.0), numpy.array([1.0, 0.0], dtype="float32")):
        assert unit_list(vector, 2) == [1.0, 0.0]


def test_only_uuids_are_ids_of_points():
    some = uuid.uuid4()
    assert is_point_id(str(some))
    assert is_point_id(some.hex)
    assert not is_point_id("5")
    assert not is_point_id(f"{some}\n")


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_no_two_lists_share_a_digest_by_concatenation(one, other):
    assert (digest(one) == digest(other)) == (one == other)


@given(st.text())
def test_a_slug_is_legal_in_every_name(text):
    assert slug(text).replace("-", "").isalnum()
    assert slug(text).isascii()
    assert len(slug(text)) <= 48
