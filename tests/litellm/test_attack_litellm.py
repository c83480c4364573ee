"""What a user of LiteLLM could do to get a wrong answer out of the cache."""

from __future__ import annotations

import copy
import pickle

import litellm
import pytest
from doubles.litellm_writes import written

TOWER = (
    "The Eiffel Tower is a lattice tower of wrought iron on the Champ de Mars in Paris, named after the engineer "
    "Gustave Eiffel, whose company designed and built it from 1887 to 1889; it is three hundred metres high."
)


def rag(question):
    return f"Answer from the context.\n\nContext: {TOWER}\n\nQuestion: {question}\nAnswer:"


@pytest.fixture
def ask(cache, target):
    def chat(content, **arguments):
        merged = {**target, "messages": [{"role": "user", "content": content}], **arguments}
        return litellm.completion(**merged)._hidden_params.get("semcache")

    return chat


def test_another_question_to_the_same_retrieved_context_misses_and_its_repeat_hits(ask):
    """The whole template is one user message, in which the question is a small part of what is embedded."""
    ask(rag("How tall is the tower?"))
    assert ask(rag("Where is the tower?")) is None
    assert ask(rag("How tall is the tower?"))["tier"] == "hash"


def test_a_question_of_one_line_may_be_reworded_also_after_a_document_that_stays(ask):
    def about(document, question):
        return ask([{"type": "text", "text": document}, {"type": "text", "text": question}])

    about("line\nline", "What is the capital of France?")
    assert about("line\nline", "the capital of france is what")["tier"] == "semantic"
    assert about("line\nlines", "the capital of france is what") is None


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "gpt-4o-mini"])
@pytest.mark.parametrize("name", ["OPENAI_API_BASE", "OPENAI_BASE_URL", "api_base"])
def test_a_server_that_the_call_does_not_name_is_keyed(ask, upstream, monkeypatch, name, model):
    """One kept directory serves a process at the provider and one at a local model."""
    call = {"model": model, "api_base": None}
    set_ambient(monkeypatch, name, upstream.url)
    ask("q", **call)
    assert ask("q", **call)["tier"] == "hash"
    set_ambient(monkeypatch, name, upstream.url + "/")
    assert ask("q", **call) is None


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "api_key", "openai_key"])
def test_a_credential_that_the_call_does_not_name_is_keyed_as_one_that_it_names(ask, monkeypatch, name):
    set_ambient(monkeypatch, name, "sk-one")
    ask("q", api_key=None)
    assert ask("q", api_key=None)["tier"] == "hash"
    set_ambient(monkeypatch, name, "sk-two")
    assert ask("q", api_key=None) is None


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ANTHROPIC_API_BASE", "anthropic/claude-sonnet-4-5"),
        ("ANTHROPIC_BASE_URL", "claude-sonnet-4-5"),
        ("OLLAMA_API_BASE", "ollama_chat/llama3"),
        ("HOSTED_VLLM_API_BASE", "hosted_vllm/llama3"),
    ],
)
def test_each_providers_own_variables_are_keyed(ask, monkeypatch, name, model):
    call = {"model": model, "api_base": None, "mock_response": "an answer"}
    ask("q", **call)
    assert ask("q", **call)["tier"] == "hash"
    monkeypatch.setenv(name, "http://gateway")
    assert ask("q", **call) is None


def test_what_a_call_names_itself_hides_what_its_surroundings_say(ask, monkeypatch):
    ask("q")
    for name in ("OPENAI_API_BASE", "OPENAI_API_KEY", "api_base", "api_key", "ANTHROPIC_API_KEY"):
        set_ambient(monkeypatch, name, "http://elsewhere")
    assert ask("q")["tier"] == "hash"


def set_ambient(monkeypatch, name, value):
    if name.isupper():
        monkeypatch.setenv(name, value)
    else:
        monkeypatch.setattr(litellm, name, value)


@pytest.mark.parametrize("item", ["q", [1, 2]], ids=["text", "tokens"])
async def test_one_async_input_and_a_whole_sync_response_never_stand_for_each_other(cache, target, item):
    """`aembedding` keeps single vectors; given one for a response, LiteLLM raises into the user's call."""
    many = item if isinstance(item, str) else [item]
    for _ in range(2):
        kept = await litellm.aembedding(input=many, **target)
        await written()
        whole = litellm.embedding(input=item, **target)
        assert type(whole) is type(kept) is litellm.EmbeddingResponse
    assert kept._hidden_params["cache_hit"] is whole._hidden_params["cache_hit"] is True


async def test_a_list_of_tokens_is_not_kept_token_by_token(cache, target, upstream):
    """It is one input: with one of its tokens found, LiteLLM asks for the others and cannot join the two."""
    for tokens in ([1], [1, 2, 3], [1, 2, 3]):
        await litellm.aembedding(input=tokens, **target)
        await written()
    assert [body["input"] for body in upstream.bodies] == [[1], [1, 2, 3], [1, 2, 3]]


def test_a_hit_can_be_copied_and_pickled(cache, target):
    call = {**target, "messages": [{"role": "user", "content": "q"}]}
    litellm.completion(**call)
    hit = litellm.completion(**call)
    assert copy.deepcopy(hit) == hit
    pickled = pickle.loads(pickle.dumps(hit._hidden_params))
    assert pickled == hit._hidden_params
    assert type(pickled["cache_key"]) is str


def test_the_proxys_streams_share_with_its_plain_calls_and_with_streams_that_asked_for_the_usage(ask):
    """The proxy marks a stream whose usage it will take out again, on its way to the client."""
    ask("q")
    asked = {"_litellm_strip_stream_usage": True, "stream_options": {"include_usage": True}}
    assert ask("q", **asked)["tier"] == "hash"


def test_a_fallbacks_answer_is_kept_for_those_who_ask_its_model(cache, target, upstream):
    broken = {**target, "mock_response": "litellm.InternalServerError"}
    router = litellm.Router(
        model_list=[
            {"model_name": "first", "litellm_params": broken},
            {"model_name": "second", "litellm_params": {**target, "model": "openai/other"}},
        ],
        fallbacks=[{"first": ["second"]}],
        num_retries=0,
        cache_responses=True,
    )
    messages = [{"role": "user", "content": "q"}]
    assert router.completion("first", messages).model == "other"
    assert router.completion("second", messages)._hidden_params["semcache"]["tier"] == "hash"
    assert upstream.chats == 1
