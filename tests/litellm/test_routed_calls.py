"""The Router on every endpoint, and calls that LiteLLM makes of several."""

from __future__ import annotations

import litellm
import pytest
from doubles.litellm_calls import KINDS, messages
from doubles.litellm_writes import written

from semcache_integrations.litellm.versions import PARTIAL_HITS

QUESTION = "What is the capital of France?"


@pytest.fixture
def router(cache, provider):
    def deployment(name, model, base):
        return {
            "model_name": name,
            "litellm_params": {"model": model, "api_base": base, "api_key": "sk-test"},
        }

    return litellm.Router(
        model_list=[
            deployment("gpt", "openai/gpt-4o-mini", provider.url),
            deployment("claude", "anthropic/claude-fake", provider.origin),
            deployment("instruct", "text-completion-openai/gpt-3.5-turbo-instruct", provider.url),
            deployment("vectors", "openai/text-embedding-3-small", provider.url),
        ],
        cache_responses=True,
    )


async def answer_of(kind, got):
    """The text of whatever a routed call returned."""
    if hasattr(got, "__aiter__"):
        return "".join([kind.piece(chunk) async for chunk in got])
    return kind.says(got)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("name", "method", "group"),
    [
        ("chat", "acompletion", "gpt"),
        ("chat", "acompletion", "claude"),
        ("text", "atext_completion", "instruct"),
        ("responses", "aresponses", "gpt"),
        ("messages", "aanthropic_messages", "claude"),
    ],
    ids=lambda value: value,
)
async def test_routed_calls_hit(router, provider, name, method, group, stream):
    kind, answers = KINDS[name], []
    more = {"max_tokens": 500} if group == "claude" else {}
    for streamed in (stream, False, True):
        asked = {kind.subject: kind.asked(QUESTION), "model": group, **more}
        got = await getattr(router, method)(**asked, **({"stream": True} if streamed else {}))
        answers.append(await answer_of(kind, got))
        await written()
    assert len(set(answers)) == 1
    assert answers[0].startswith("Answer to")
    assert provider.count == 1


@pytest.mark.skipif(not PARTIAL_HITS, reason="LiteLLM 1.80 has no partial hits that could be trusted")
async def test_routed_embeddings_are_kept_input_by_input(router, provider):
    await router.aembedding("vectors", input=["a", "b"])
    await written()
    mixed = await router.aembedding("vectors", input=["b", "c"])
    assert provider.calls[-1].body["input"] == ["c"]
    assert [item["index"] for item in mixed.data] == [0, 1]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_sync_router_hits(router, provider, stream):
    kind, texts = KINDS["chat"], []
    for _ in range(2):
        got = router.completion("gpt", messages(QUESTION), stream=stream)
        texts.append("".join(map(kind.piece, got)) if stream else kind.says(got))
    assert texts[0] == texts[1]
    assert provider.count == 1


def test_a_batch_asks_only_what_is_new(cache, provider):
    def batch(*questions):
        asked = [messages(question) for question in questions]
        about = {"model": "openai/gpt-4o-mini", "api_base": provider.url, "api_key": "sk-test"}
        return [KINDS["chat"].says(answer) for answer in litellm.batch_completion(messages=asked, **about)]

    first = batch("one?", "two?")
    assert batch("two?", "three?", "one?")[::2] == first[::-1]
    assert provider.count == 3
