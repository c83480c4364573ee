"""Keys: equal questions share one, different ones never do."""

from __future__ import annotations

import enum
import math
import uuid
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, create_model

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import Keyring, canonical, canonical_json, canonical_text, encodable
from semcache_integrations.core.models import CacheEntry, CacheRequest, Namespace

KEYRING = Keyring()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def scope(**fields: object) -> str:
    return KEYRING.scope(CacheRequest("q", **fields), "")


@given(VALUES)
@example(2**63)
@example(2**64 - 1)
@example(2**64)
@example(-(2**63))
@example(-(2**63) - 1)
def test_the_fast_way_and_the_long_way_give_the_same_json(value):
    import orjson

    assert canonical_json(value) == orjson.dumps(canonical(value), option=orjson.OPT_SORT_KEYS).decode()


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.randoms())
def test_the_order_of_parameters_is_irrelevant(params, random):
    shuffled = list(params.items())
    random.shuffle(shuffled)
    assert scope(params=params) == scope(params=dict(shuffled))


def _same(a: object, b: object) -> bool:
    """Whether two values are the same to a provider; the tests' own definition, independent of the code's."""
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) or isinstance(b, str):
        return type(a) is type(b) and a == b
    if isinstance(a, dict) and isinstance(b, dict):
        left, right = ({k: v for k, v in d.items() if v is not None} for d in (a, b))
        return left.keys() == right.keys() and all(_same(left[k], right[k]) for k in left)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return not isinstance(a, (dict, list)) and not isinstance(b, (dict, list)) and a == b


@given(VALUES, VALUES)
def test_two_values_share_their_json_only_if_they_are_the_same(a, b):
    assert (canonical_json([a]) == canonical_json([b])) <= _same(a, b)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"t": 0}, {"t": 0.0}),
        ({"t": -0.0}, {"t": 0}),
        ({"t": 1, "stop": None}, {"t": 1.0}),
        ({"stop": ("a", "b")}, {"stop": ["a", "b"]}),
        ({"logit_bias": {50256: -100}}, {"logit_bias": {"50256": -100.0}}),
        ({}, {"stop": None}),
        ({"tags": {"x", "y"}}, {"tags": {"y", "x"}}),
    ],
)
def test_what_a_provider_cannot_tell_apart_shares_a_scope(one, other):
    assert scope(params=one) == scope(params=other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"t": 0}, {"t": 1}),
        ({"t": 1}, {"t": True}),
        ({"t": "1"}, {"t": 1}),
        ({"t": 0.1}, {"t": 0.10000000000000002}),
        ({"t": math.inf}, {"t": -math.inf}),
        ({"t": math.nan}, {}),
        ({"stop": ["a", "b"]}, {"stop": ["b", "a"]}),
        ({"stop": "ab"}, {"stop": ["a", "b"]}),
        ({"n": 2**63}, {"n": 2**63 + 1}),
        ({"image": b"cat"}, {"image": b"dog"}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}),
        ({"x": {1, 2}}, {"x": [1, 2]}),
    ],
)
def test_what_a_provider_can_tell_apart_has_two_scopes(one, other):
    assert scope(params=one) != scope(params=other)


def test_two_schemas_of_one_class_name_are_two_scopes():
    first = create_model("Answer", city=(str, ...))
    second = create_model("Answer", country=(str, ...))
    assert scope(params={"response_format": first}) != scope(params={"response_format": second})
    assert scope(params={"response_format": first}) == scope(params={"response_format": first})


def test_a_pydantic_value_and_its_dictionary_are_one():
    class Tool(BaseModel):
        name: str
        strict: bool | None = None

    assert scope(params={"tool": Tool(name="search")}) == scope(params={"tool": {"name": "search"}})


def test_enums_and_uuids_stand_for_their_values():
    class Effort(enum.Enum):
        LOW = "low"

    some_id = uuid.uuid4()
    assert scope(params={"effort": Effort.LOW, "id": some_id}) == scope(
        params={"effort": "low", "id": str(some_id)}
    )
    assert scope(params={"effort": Effort.LOW, "t": None}) == scope(params={"effort": "low"})
    assert scope(params={"id": some_id, "t": 0.0}) == scope(params={"id": str(some_id), "t": 0})


def _cycle() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring


@dataclass
class _Opaque:
    x: int = 1


@pytest.mark.parametrize(
    "value",
    [
        object(),
        _Opaque(),
        lambda: None,
        {1.5: "x"},
        {True: 1},
        {"\x00int": "1"},
        "\ud800",
        {"k": "\udfff"},
        _cycle(),
    ],
    ids=[
        "object",
        "dataclass",
        "function",
        "float key",
        "bool key",
        "NUL key",
        "surrogate",
        "deep surrogate",
        "cycle",
    ],
)
def test_what_has_no_canonical_form_is_never_guessed(value):
    with pytest.raises(UnkeyableError):
        scope(params={"p": value})


FIELDS = {
    "model": ("gpt-4", "gpt-5"),
    "params": ({"t": 0}, {"t": 1}),
    "context": (["system: be brief"], ["system: be long"]),
    "dialect": ("chat", "text"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_request_is_part_of_its_scope(field):
    one, other = FIELDS[field]
    assert scope(**{field: one}) != scope(**{field: other})


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_fields_never_run_into_each_other(one, other):
    scopes = [KEYRING.scope(CacheRequest("q", model=model), tenant) for model, tenant in (one, other)]
    assert (scopes[0] == scopes[1]) == (one == other)


def test_a_long_context_is_kept_as_a_digest():
    long, longer = ["x" * 5000], ["x" * 5001]
    assert len(scope(context=long)) == 64
    assert scope(context=long) != scope(context=longer)


@pytest.mark.parametrize(
    ("one", "other"), [(" What? \n", "What?"), ("café", "café")], ids=["outer white space", "NFC"]
)
def test_spellings_of_one_text_are_one(one, other):
    assert canonical_text(one) == canonical_text(other)


@pytest.mark.parametrize(("one", "other"), [("What?", "what?"), ("a b", "a  b"), ("x", "x.")])
def test_inner_differences_of_a_text_stay(one, other):
    assert canonical_text(one) != canonical_text(other)


@given(st.text())
def test_canonical_text_is_stable(text):
    assert canonical_text(canonical_text(text)) == canonical_text(text)


def test_entry_ids_are_uuids_that_depend_on_namespace_and_text():
    ids = {KEYRING.entry_id(space, text) for space in ("a", "b") for text in ("x", "y")}
    assert len(ids) == 4
    assert {(uuid.UUID(each).version, uuid.UUID(each).variant) for each in ids} == {(8, uuid.RFC_4122)}
    assert KEYRING.entry_id("a", "x") in ids


def test_a_text_that_is_not_unicode_is_unkeyable():
    with pytest.raises(UnkeyableError):
        KEYRING.entry_id("a", "\ud800")
    with pytest.raises(UnkeyableError):
        encodable("\ud800")
    assert encodable("ü") == "ü"


def test_another_secret_or_another_vector_space_means_other_namespaces():
    keyrings = [Keyring(), Keyring(b"s1"), Keyring(b"s2"), Keyring(space="other"), Keyring(b"s1" * 100)]
    assert len({keyring.namespace("scope") for keyring in keyrings}) == len(keyrings)
    assert Keyring(b"s1").namespace("scope") == keyrings[1].namespace("scope")


ENTRY = CacheEntry("id", Namespace("ns"), "q", "payload", 1.0, expires_at=9.0, ttl_s=8.0, tags=("t",))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "id2"},
        {"namespace": Namespace("ns2")},
        {"text": "q2"},
        {"payload": "payloae"},
        {"created_at": 2.0},
        {"expires_at": 10.0},
        {"ttl_s": None},
        {"tags": ()},
        {"signature": ""},
    ],
    ids=str,
)
def test_a_changed_entry_is_not_genuine(change):
    keyring = Keyring(b"secret")
    sealed = keyring.seal(ENTRY)
    assert keyring.genuine(sealed)
    assert not keyring.genuine(replace(sealed, **change))
    assert not Keyring(b"another").genuine(sealed)


def test_without_a_secret_nothing_is_signed():
    assert KEYRING.seal(ENTRY) is ENTRY
    assert KEYRING.genuine(ENTRY)
