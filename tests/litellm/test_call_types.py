"""Every kind of call that LiteLLM knows, however it was asked when its answer was kept and when it is asked again."""

from __future__ import annotations

from itertools import permutations

import litellm
import pytest
from doubles.litellm_calls import KINDS
from doubles.litellm_witness import Witness
from doubles.litellm_writes import written

from semcache_integrations.litellm.versions import CACHES_RESPONSES

QUESTION = "What is the capital of France?"
REWORDED = "the capital of France is what"
TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}


def each_way():
    return [pytest.param(kind, way, id=f"{kind.name}: {way}") for kind in KINDS.values() for way in kind.ways]


def each_kind():
    return [pytest.param(kind, id=kind.name) for kind in KINDS.values()]


@pytest.fixture
def witness(cache, monkeypatch):
    watching = Witness()
    monkeypatch.setattr(litellm, "callbacks", [watching])
    return watching


@pytest.mark.parametrize(("kind", "stored"), each_way())
async def test_an_entry_serves_every_way_to_ask_whichever_it_came_from(cache, provider, kind, stored):
    first, _ = await kind.call(stored, QUESTION, provider)
    await written()
    assert first.startswith(f"Answer to: {QUESTION}")
    for way in kind.ways:
        again, _ = await kind.call(way, QUESTION, provider)
        assert (way, again, provider.count) == (way, first, 1)
    other, _ = await kind.call(stored, "How do I bake sourdough bread at home?", provider)
    assert (other != first, provider.count) == (True, 2)


@pytest.mark.parametrize(("kind", "way"), each_way())
async def test_a_hit_is_told_as_the_live_call_was_and_cost_nothing_and_saved_its_price(
    provider, witness, kind, way
):
    await kind.call(way, QUESTION, provider)
    live = await witness.settled()
    await written()
    await kind.call(way, QUESTION, provider)
    told = await witness.settled()
    assert sorted(event.way for event in told) == sorted({event.way for event in live})
    assert {event.short[1:] for event in told} == {(True, 0.0)}
    if CACHES_RESPONSES:  # 1.80 notes what was saved after it has taken the price off
        assert {event.saved for event in told} == {event.cost or 0.0 for event in live}
    assert provider.count == 1


@pytest.mark.parametrize(("kind", "way"), each_way())
async def test_a_replay_has_the_form_of_what_is_live(cache, provider, kind, way):
    _, live = await kind.call(way, QUESTION, provider)
    await written()
    _, again = await kind.call(way, QUESTION, provider)
    if way.endswith("stream"):
        live, again = live[-1], again[-1]
    assert type(again) is type(live)
    assert provider.count == 1


@pytest.mark.parametrize("kind", each_kind())
async def test_a_reworded_question_hits_and_one_with_tools_or_another_setting_does_not(cache, provider, kind):
    await kind.call("async", QUESTION, provider)
    await written()
    await kind.call("async", REWORDED, provider)
    assert provider.count == 1
    for number, more in enumerate(
        ({"temperature": 0.5}, {"cache": {"semantic": False, "no-store": True}}), 2
    ):
        await kind.call("async", REWORDED, provider, **more)
        assert provider.count == number


@pytest.mark.parametrize(("one", "other"), list(permutations(("chat", "text by chat", "responses"), 2)))
async def test_one_question_to_two_endpoints_of_a_model_never_meets(cache, provider, one, other):
    await KINDS[one].call("async", QUESTION, provider)
    await written()
    for way in KINDS[other].ways:
        text, _ = await KINDS[other].call(way, QUESTION, provider)
        await written()
        assert (bool(text), provider.count) == (True, 2)


@pytest.mark.parametrize("kind", each_kind())
@pytest.mark.parametrize("fault", [{"finish_reason": "length"}, {"refusal": True}], ids=["length", "refusal"])
@pytest.mark.parametrize("way", ["async", "async stream"])
async def test_an_answer_that_is_not_whole_is_not_kept(cache, provider, kind, fault, way):
    if kind.name == "text" and "refusal" in fault:
        pytest.skip("a text completion has no field for a refusal")
    for number in (1, 2):
        provider.fail(**fault)
        await kind.call(way, QUESTION, provider)
        await written()
        assert provider.count == number
