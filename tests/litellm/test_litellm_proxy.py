"""LiteLLM's proxy, as a process, with one line in its config; its clients are the providers' own SDKs."""

from __future__ import annotations

import hashlib
import itertools
import time

import anthropic
import httpx
import openai
import pytest
from doubles.litellm_proxy import RunningProxy

from semcache_integrations.litellm.versions import CACHES_MESSAGES

pytestmark = pytest.mark.skipif(
    not CACHES_MESSAGES,
    reason="the proxy is run with the newest LiteLLM, whose packages the oldest does not take",
)
SECRET = "anise-basil-chervil-dill"
ANNA, BERT = "sk-anna", "sk-bert"
WITHIN_S = 30.0
_numbers = itertools.count(1)
_clients = {}  # making one takes longer than most calls


@pytest.fixture(scope="module")
def proxy(server, tmp_path_factory):
    directory = tmp_path_factory.mktemp("proxy")
    with RunningProxy(directory, server.url, SEMCACHE_HASH_ONLY="1", SEMCACHE_SECRET=SECRET) as one:
        yield one
    while _clients:
        _clients.popitem()[1].close()


@pytest.fixture
def question():
    """One that no other test asks."""
    return f"question number {next(_numbers)}"


def client(kind, base_url, key):
    """Return the SDK's client for one key."""
    if (kind, base_url, key) not in _clients:
        _clients[kind, base_url, key] = kind(base_url=base_url, api_key=key, max_retries=0)
    return _clients[kind, base_url, key]


def chat(proxy, question, *, key=ANNA, **wishes):
    messages = [{"role": "user", "content": question}]
    completions = client(openai.OpenAI, f"{proxy.url}/v1", key).chat.completions
    return completions.with_raw_response.create(model="gpt", messages=messages, **wishes)


def stream(proxy, question, **wishes):
    """Return the headers and the pieces of the answer."""
    raw = chat(proxy, question, stream=True, **wishes)
    pieces = [choice.delta.content for chunk in raw.parse() for choice in chunk.choices]
    return raw.headers, [piece for piece in pieces if piece]


def message(proxy, question, *, key=ANNA, model="local", **wishes):
    messages = [{"role": "user", "content": question}]
    create = client(anthropic.Anthropic, proxy.url, key).messages.with_raw_response.create
    return create(model=model, max_tokens=64, messages=messages, **wishes)


def embed(proxy, inputs, *, key=ANNA, **wishes):
    create = client(openai.OpenAI, f"{proxy.url}/v1", key).embeddings.with_raw_response.create
    return create(model="vectors", input=inputs, encoding_format="float", **wishes)


def administer(proxy, path, *, key=ANNA, method="POST", **body):
    return httpx.request(
        method, f"{proxy.url}/cache/{path}", headers={"authorization": f"Bearer {key}"}, **body
    )


def status(answer):
    return answer.headers["x-cache-status"]


def until_hit(ask):
    """Ask until the cache answers: LiteLLM writes after it has answered."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        answer = ask()
        if status(answer) == "hit":
            return answer
        time.sleep(0.05)
    raise AssertionError("the cache never answered")


def kept(proxy, question, **wishes):
    return until_hit(lambda: chat(proxy, question, **wishes))


def until_written(proxy, question):
    """Wait until what was asked before is written: writes keep their order."""
    kept(proxy, f"{question}, and a marker")


def said(answer):
    return answer.parse().choices[0].message.content


def test_the_headers_tell_a_hit_from_a_miss(proxy, upstream, question):
    first = chat(proxy, question)
    assert (status(first), first.headers["x-cache-reason"]) == ("miss", "not_found")
    assert float(first.headers["x-litellm-response-cost"]) > 0
    assert "x-cache-entry" not in first.headers
    until_written(proxy, question)
    before = upstream.chats
    hit = chat(proxy, question)
    assert upstream.chats == before
    assert said(hit) == said(first)
    assert (status(hit), hit.headers["x-cache-tier"]) == ("hit", "hash")
    assert hit.headers["x-cache-similarity"] == "1.0000"
    assert hit.headers["x-cache-age"].isdecimal()
    assert hit.headers["x-cache-entry"] == hit.headers["x-litellm-cache-key"] != ""
    assert float(hit.headers["x-litellm-response-cost"]) == 0
    assert "x-cache-reason" not in hit.headers
    assert status(chat(proxy, question, temperature=0.5)) == "miss"
    assert status(chat(proxy, f"{question}?")) == "miss"


def test_a_stream_and_a_whole_answer_are_one_entry(proxy, upstream, question):
    headers, asked = stream(proxy, question)
    assert headers["x-cache-status"] == "miss"
    until_written(proxy, question)
    before = upstream.chats
    headers, replayed = stream(proxy, question)
    assert "".join(replayed) == "".join(asked)
    assert (headers["x-cache-status"], headers["x-cache-similarity"]) == ("hit", "1.0000")
    assert float(headers["x-litellm-response-cost"]) == 0
    assert said(chat(proxy, question)) == "".join(asked)
    assert upstream.chats == before
    assert stream(proxy, f"{question}?")[0]["x-cache-status"] == "miss"


def test_messages_are_answered_from_the_cache_and_say_so(proxy, upstream, question):
    first = message(proxy, question)
    assert (status(first), first.headers["x-cache-reason"]) == ("miss", "not_found")
    until_written(proxy, question)
    before = upstream.chats
    hit = message(proxy, question)
    assert hit.parse().content[0].text == first.parse().content[0].text
    assert (status(hit), hit.headers["x-cache-tier"]) == ("hit", "hash")
    assert float(hit.headers["x-litellm-response-cost"]) == 0
    streamed = message(proxy, question, stream=True)
    deltas = [
        event.delta.text for event in streamed.parse() if getattr(event, "type", "") == "content_block_delta"
    ]
    assert (status(streamed), "".join(deltas)) == ("hit", hit.parse().content[0].text)
    assert upstream.chats == before
    assert status(message(proxy, f"{question}?")) == "miss"
    assert status(message(proxy, question, key=BERT)) == "miss"


def test_messages_to_a_model_of_openai_are_kept_too(proxy, upstream, question):
    """LiteLLM sends them to /v1/responses."""
    assert status(message(proxy, question, model="gpt")) == "miss"
    until_hit(lambda: message(proxy, question, model="gpt"))
    assert upstream.calls["/v1/responses"] == 1


def test_embeddings_are_kept_input_by_input(proxy, upstream, question):
    first = embed(proxy, question)
    assert (status(first), first.headers["x-cache-reason"]) == ("miss", "not_found")
    hit = until_hit(lambda: embed(proxy, question))
    assert hit.parse().data[0].embedding == first.parse().data[0].embedding
    assert float(hit.headers["x-litellm-response-cost"]) == 0
    upstream.bodies.clear()
    assert status(embed(proxy, [question, f"{question}?"])) == "miss"  # a part of it was asked for
    assert [body["input"] for body in upstream.bodies] == [[f"{question}?"]]
    assert status(embed(proxy, question, key=BERT)) == "miss"


def test_no_answer_crosses_keys(proxy, upstream, question):
    kept(proxy, question)
    before = upstream.chats
    assert status(chat(proxy, question, key=BERT)) == "miss"
    assert stream(proxy, f"{question}!", key=BERT)[0]["x-cache-status"] == "miss"
    assert upstream.chats == before + 2
    assert status(chat(proxy, question)) == "hit"


@pytest.mark.parametrize("place", ["metadata", "litellm_metadata"])
@pytest.mark.parametrize("ask", [chat, message])
def test_who_claims_to_be_somebody_else_is_not(proxy, question, ask, place):
    """The hash of a key is no secret: LiteLLM shows it in its logs and on its pages."""
    until_hit(lambda: ask(proxy, question))
    digest = hashlib.sha256(ANNA.encode()).hexdigest()
    names = {"user_api_key": digest, "user_api_key_hash": digest, "user_api_key_team_id": "team-a"}
    claimed = ask(proxy, question, key=BERT, extra_body={place: names})
    assert status(claimed) == "miss"
    forged = {"semcache": {"status": "hit", "tier": "\r\nx-evil: 1"}}
    unseen = ask(proxy, f"{question}?", key=BERT, extra_body={place: forged})
    assert status(unseen) == "miss"


def test_a_call_can_ask_anew(proxy, question):
    old = said(kept(proxy, question))
    new = chat(proxy, question, extra_body={"cache": {"no-cache": True}})
    assert status(new) == "bypass"
    assert said(new) != old
    until_written(proxy, question)
    assert said(chat(proxy, question)) == said(new)


@pytest.mark.parametrize("wish", [{"no-store": True}, {"ttl": 0}])
def test_a_call_can_ask_not_to_be_kept(proxy, question, wish):
    chat(proxy, question, extra_body={"cache": wish})
    until_written(proxy, question)
    assert status(chat(proxy, question)) == "miss"
    assert status(kept(proxy, question)) == "hit"


def test_a_call_can_ask_for_a_fresh_one(proxy, question):
    kept(proxy, question)
    assert status(chat(proxy, question, extra_body={"cache": {"s-maxage": 0}})) == "miss"
    assert status(chat(proxy, question, extra_body={"cache": {"s-maxage": 3_600}})) == "hit"


def test_a_namespace_is_a_cache_of_its_own(proxy, question):
    wish = {"cache": {"namespace": "tests"}}
    kept(proxy, question, extra_body=wish)
    assert status(chat(proxy, question)) == "miss"
    assert status(chat(proxy, question, extra_body={"cache": {"namespace": "others"}})) == "miss"


def test_a_call_says_how_a_hit_is_replayed(proxy, question):
    kept(proxy, question)
    pieces = {
        wish: stream(proxy, question, extra_body={"cache": {"replay": wish}})[1] for wish in ("words", "none")
    }
    assert len(pieces["words"]) > len(pieces["none"]) == 1
    assert "".join(pieces["words"]) == "".join(pieces["none"])


@pytest.mark.parametrize(
    "wish", [{"semantic": False}, {"similarity_threshold": 0.99}, {"tags": ["a", "b"]}, {"ttl": 3_600}, {}]
)
def test_wishes_that_a_repeat_meets(proxy, question, wish):
    kept(proxy, question, extra_body={"cache": wish})
    assert status(chat(proxy, question)) == "hit"


@pytest.mark.parametrize(
    "wish",
    [
        *("yes", 7, [1], True),
        *({"ttl": "soon"}, {"ttl": -1}, {"ttl": [1]}, {"s-maxage": "x"}),
        *({"similarity_threshold": "much"}, {"tags": "one"}, {"tags": 5}),
    ],
)
def test_a_wish_that_means_nothing_fails_nothing_and_gets_nothing(proxy, question, wish):
    kept(proxy, question)
    assert status(chat(proxy, question, extra_body={"cache": wish})) == "bypass"
    assert embed(proxy, question, extra_body={"cache": wish}).parse().data
    assert status(chat(proxy, question)) == "hit"


@pytest.mark.parametrize("wish", [None, {"replay": ["x"]}, {"replay": "??"}, {"unheard": "of"}])
def test_a_wish_that_asks_for_nothing_is_ignored(proxy, question, wish):
    kept(proxy, question)
    headers, pieces = stream(proxy, question, extra_body={"cache": wish})
    assert headers["x-cache-status"] == "hit"
    assert pieces


def test_ping_is_healthy_and_shows_no_secret_and_no_prompt(proxy, question):
    kept(proxy, question)
    answer = administer(proxy, "ping", method="GET")
    assert (answer.status_code, answer.json()["status"], answer.json()["cache_type"]) == (
        200,
        "healthy",
        "semcache",
    )
    assert not any(part in answer.text for part in (*SECRET.split("-"), SECRET[:4], SECRET[-4:], question))
    assert administer(proxy, "ping", method="GET", key="sk-eve").status_code == 401


def test_a_deleted_answer_is_not_served_again(proxy, upstream, question):
    key = kept(proxy, question).headers["x-litellm-cache-key"]
    neighbour = f"{question}, the neighbour"
    kept(proxy, neighbour)
    assert administer(proxy, "delete", json={"keys": [key]}, key="sk-eve").status_code == 401
    assert status(chat(proxy, question)) == "hit"
    answer = administer(proxy, "delete", json={"keys": [key, "unheard-of"]})
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})
    before = upstream.chats
    assert status(chat(proxy, question)) == "miss"
    assert upstream.chats == before + 1
    assert status(chat(proxy, neighbour)) == "hit"


@pytest.mark.parametrize(
    "body",
    [
        *({"json": {}}, {"json": {"keys": []}}, {"json": {"keys": "one"}}, {"json": {"keys": [1]}}),
        *({"json": {"keys": [""]}}, {"json": ["keys"]}, {"content": b"{"}, {"content": b""}),
    ],
)
def test_a_deletion_that_names_nothing_deletes_nothing(proxy, question, body):
    kept(proxy, question)
    answer = administer(proxy, "delete", **body)
    assert answer.status_code == 400
    assert answer.json()
    assert status(chat(proxy, question)) == "hit"


def test_everything_can_be_deleted(proxy, question):
    kept(proxy, question)
    assert administer(proxy, "flushall", key="sk-eve").status_code == 401
    assert status(chat(proxy, question)) == "hit"
    assert administer(proxy, "flushall").json() == {"status": "success"}
    assert status(chat(proxy, question)) == "miss"


def test_a_setting_that_cannot_work_stops_the_start(server, tmp_path):
    proxy = RunningProxy(tmp_path, server.url, SEMCACHE_SIMILARITY_THRESHOLD="2")
    proxy.start(wait=False)
    assert proxy.ended() != 0
    assert "SEMCACHE_SIMILARITY_THRESHOLD" in proxy.log


@pytest.mark.model
def test_similar_questions_share_an_answer_until_it_is_deleted_and_over_a_restart(
    server, upstream, minilm, tmp_path
):
    asked, reworded = "What is the capital of France?", "What's the capital city of France?"
    other = "What is the boiling point of mercury?"
    settings = {"SEMCACHE_PATH": str(tmp_path / "kept"), "SEMCACHE_SIMILARITY_THRESHOLD": "0.8"}
    with RunningProxy(tmp_path, server.url, **settings) as proxy:
        first = said(kept(proxy, asked))
        assert (
            status(chat(proxy, reworded, extra_body={"cache": {"semantic": False, "no-store": True}}))
            == "miss"
        )
        tight = {"cache": {"similarity_threshold": 0.999, "no-store": True}}
        assert status(chat(proxy, reworded, extra_body=tight)) == "miss"
        hit = chat(proxy, reworded)
        assert (status(hit), hit.headers["x-cache-tier"], said(hit)) == ("hit", "semantic", first)
        assert 0.8 <= float(hit.headers["x-cache-similarity"]) < 1
        assert status(chat(proxy, reworded, key=BERT, extra_body={"cache": {"no-store": True}})) == "miss"
        assert administer(proxy, "delete", json={"keys": [hit.headers["x-litellm-cache-key"]]}).is_success
        for question in (reworded, asked):
            gone = chat(proxy, question, extra_body={"cache": {"no-store": True}})
            assert status(gone) == "miss"
        again = said(kept(proxy, other))
        assert proxy.stop() in (0, -15)
        before = upstream.chats
        proxy.start(wait=True)
        hit = chat(proxy, other)
        assert (status(hit), hit.headers["x-cache-tier"], said(hit)) == ("hit", "exact", again)
        assert upstream.chats == before
        assert status(chat(proxy, asked)) == "miss"
