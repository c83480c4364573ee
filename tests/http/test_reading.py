"""Calls -> requests: what is one question, what is another one, and that nothing whatsoever breaks the reader."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from doubles.http_questions import QUESTION, REWORDED, chat
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import DEFAULT_CONTROLS
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.calls import Call
from semcache_integrations.http.credentials import credential_of, keyed_url
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.questions import QuestionReader, model_in, question_in
from semcache_integrations.http.requests import Reader

JSON_KIND = (b"content-type", b"application/json")
URL = "https://api.openai.com/v1/chat/completions"
READER = Reader()
APP = QuestionReader(question_in, model_in)
KEYS = Keyring()

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
headers = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=4)


def call(body, *said, url=URL, dialect="chat", prompt="", method="POST"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Call(method, url, (JSON_KIND, *said), raw, dialect, prompt)


def scope(asked):
    return KEYS.scope(asked.request, asked.request.tenant), asked.request.text


def same(first, second):
    return scope(READER(first)) == scope(READER(second))


def messages(*turns, **more):
    return {"model": "m", "messages": [{"role": role, "content": content} for role, content in turns], **more}


# -- what may be reworded ------------------------------------------------------------------------------


def test_a_users_last_turn_is_the_text_and_all_else_is_not():
    asked = READER(call(messages(("system", "Be brief."), ("user", QUESTION))))
    assert asked.request.text == QUESTION
    assert asked.request.controls is DEFAULT_CONTROLS
    assert QUESTION not in scope(asked)[0]


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("chat", messages(("assistant", QUESTION))),
        ("chat", messages(("tool", QUESTION))),
        ("chat", messages(("user", "one\ntwo"))),
        ("chat", messages(("user", " "))),
        ("chat", messages(("user", [{"type": "image_url", "image_url": {"url": "u"}}]))),
        (
            "chat",
            messages(("user", [{"type": "image_url", "image_url": {}}, {"type": "text", "text": QUESTION}])),
        ),
        ("chat", messages(("user", QUESTION), tools=[{"type": "function"}])),
        ("chat", messages(("user", QUESTION), functions=[{"name": "f"}])),
        ("messages", messages(("user", QUESTION), mcp_servers=[{"url": "u"}])),
        ("responses", {"model": "m", "input": [{"type": "function_call_output", "output": QUESTION}]}),
        ("responses", {"model": "m", "input": QUESTION, "tools": [{"type": "web_search"}]}),
    ],
)
def test_what_nobody_may_reword_goes_to_the_exact_tiers_alone(dialect, body):
    assert not READER(call(body, dialect=dialect)).request.controls.semantic


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("chat", messages(("user", [{"type": "text", "text": QUESTION}]))),
        ("messages", messages(("assistant", "Hello"), ("user", QUESTION), system="Be brief.")),
        ("responses", {"model": "m", "input": QUESTION}),
        ("responses", {"model": "m", "input": [{"role": "user", "content": QUESTION}]}),
        (
            "responses",
            {"model": "m", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]},
        ),
    ],
)  # fmt: skip
def test_what_a_user_asks_last_may_be_reworded(dialect, body):
    request = READER(call(body, dialect=dialect)).request
    assert (request.text, request.controls.semantic) == (QUESTION, True)


# -- one question or two -------------------------------------------------------------------------------

BASE = messages(
    ("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", QUESTION), temperature=0
)


@pytest.mark.parametrize(
    "other",
    [
        dict(reversed(BASE.items())),
        {**BASE, "temperature": 0.0},
        {**BASE, "stream": True, "stream_options": {"include_usage": True}},
        {**BASE, "n": 1, "logprobs": False, "top_p": None, "metadata": {"a": "b"}, "store": True},
    ],
)
def test_what_no_provider_could_tell_apart_is_one_question(other):
    assert same(call(BASE), call(other))


@pytest.mark.parametrize(
    "other",
    [
        {**BASE, "temperature": 0.1},
        {**BASE, "temperature": False},
        {**BASE, "temperature": "0"},
        {**BASE, "model": "n"},
        {**BASE, "n": 2},
        {**BASE, "user": "a"},
        {**BASE, "response_format": {"type": "json_object"}},
        {**BASE, "nobody_knows": 1},
        {**BASE, "messages": BASE["messages"][1:]},
        {**BASE, "messages": [{"role": "developer", "content": "Be brief."}, *BASE["messages"][1:]]},
        {**BASE, "messages": [*BASE["messages"][:-1], {"role": "user", "name": "Al", "content": QUESTION}]},
        {**BASE, "messages": [*BASE["messages"][:-1], {"role": "user", "content": f"{QUESTION} "[::-1]}]},
        {**BASE, "seed": 2**70},
        {**BASE, "seed": 2**70 + 1},
    ],
)
def test_whatever_a_provider_could_tell_apart_is_two(other):
    assert not same(call(BASE), call(other))


def test_two_integers_that_one_double_holds_are_two():
    assert not same(call({**BASE, "seed": 2**70}), call({**BASE, "seed": 2**70 + 1}))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((b"authorization", b"a"), (b"authorization", b"b")),
        ((b"openai-organization", b"a"), (b"openai-organization", b"b")),
        ((b"anthropic-beta", b"a"), (b"anthropic-beta", b"b")),
        ((b"x-max-tokens", b"1"), (b"x-max-tokens", b"2")),
        ((b"tenant", b"a"), (b"tenant", b"b")),  # no header is known by its beginning
        ((b"age-group", b"a"), (b"age-group", b"b")),
        ((b"host-language", b"a"), (b"host-language", b"b")),
        ((b"cf-ipcountry", b"a"), (b"cf-ipcountry", b"b")),
        ((b"x-forwarded-user", b"a"), (b"x-forwarded-user", b"b")),
        ((b"x-semcache-namespace", b"a"), (b"x-semcache-namespace", b"b")),
    ],
)
def test_headers_that_may_change_an_answer_tell_calls_apart_and_others_do_not(first, second):
    noise = (b"X-Request-Id", b"7"), (b"traceparent", b"00"), (b"x-stainless-os", b"MacOS")
    assert not same(call(BASE, first), call(BASE, second))
    assert same(call(BASE, first), call(BASE, *noise, (first[0].upper(), first[1])))


def test_a_shared_cache_forgets_credentials_and_nothing_else():
    shared = Reader(share=True)

    def of(*said, url=URL):
        return scope(shared(call(BASE, *said, url=url)))

    assert of((b"authorization", b"a")) == of((b"x-api-key", b"b")) == of()
    assert of(url=f"{URL}?key=1") == of(url=f"{URL}?key=2")
    assert of((b"x-max-tokens", b"1")) != of()
    assert of(url=f"{URL}?max_tokens=1") != of(url=f"{URL}?max_tokens=2")


def test_no_credential_can_be_read_from_a_key_and_a_secret_changes_it():
    asked = call(BASE, (b"authorization", b"Bearer sk-very-secret"), url=f"{URL}?key=sk-other&v=1")
    request = READER(asked).request
    assert "sk-" not in repr(request).replace(QUESTION, "")
    assert credential_of(asked) != credential_of(asked, b"secret")
    assert keyed_url(asked.url) == f"{URL}?v=1"


SECRET = "sk-very-secret"


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "apikey",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
        "x-functions-key",
        "x-auth-token",
        "x-csrf-token",
        "x-amz-security-token",
        "x-ms-token-aad-id-token",
        "x-amzn-oidc-data",
        "x-amzn-mtls-clientcert",
        "cf-access-jwt-assertion",
    ],
)
def test_a_header_with_a_credential_says_who_asks_and_is_in_no_key(name):
    asked = call(BASE, (name.encode(), SECRET.encode()))
    assert SECRET not in repr(READER(asked).request)
    assert credential_of(asked) != credential_of(call(BASE, (name.encode(), b"another")))


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "Key",
        "api_key",
        "api-key",
        "apikey",
        "token",
        "access_token",
        "sig",
        "signature",
        "subscription-key",
        "x-amz-signature",
        "X-Goog-Signature",
    ],
)
def test_a_parameter_with_a_credential_says_who_asks_and_is_in_no_key(name):
    asked = call(BASE, url=f"{URL}?v=1&{name}={SECRET}")
    assert SECRET not in repr(READER(asked).request)
    assert credential_of(asked) != credential_of(call(BASE, url=f"{URL}?v=1&{name}=another"))


def test_a_load_balancers_cookie_hides_no_other_one():
    def of(cookies):
        return credential_of(call(BASE, (b"cookie", cookies)))

    assert of(b"__cf_bm=1; AWSALB=2") == ""
    assert of(b"__cf_bm=1; session=a") == of(b"__cf_bm=2; session=a") != of(b"__cf_bm=1; session=b")
    assert len({"", of(b"session=a; __cf_bm=1"), of(b"session=b; __cf_bm=1"), of(b"my__cf_bm=1")}) == 4
    assert of(b"awsalbum=1") != ""


# -- what is not cached, and what is wrong -------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        call(chat(), dialect=None),
        call(chat(), dialect="generic"),
        call(chat(), method="GET"),
        Call("POST", URL, ((b"content-type", b"text/plain"),), json.dumps(chat()).encode(), "chat"),
        Call("POST", URL, ((b"content-type", b"application/json-seq"),), json.dumps(chat()).encode(), "chat"),
        Call("POST", URL, ((b"content-type", b"application/jsonl"),), json.dumps(chat()).encode(), "chat"),
        call(chat(), (b"content-encoding", b"gzip")),
        call({"model": "m", "input": "x", "background": True}, dialect="responses"),
        call({"model": "m", "input": "x", "conversation": "c"}, dialect="responses"),
    ],
)
def test_what_is_no_question_is_left_alone(asked):
    assert READER(asked) is None


@pytest.mark.parametrize("kind", [b"application/vnd.api+json", b"Application/JSON; charset=UTF-8"])
def test_json_is_json_whatever_else_its_type_says(kind):
    assert READER(Call("POST", URL, ((b"content-type", kind),), json.dumps(chat()).encode(), "chat"))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe{}", b"[" * 99_999, b"1" * 9_999])
def test_a_body_that_is_no_object_is_the_senders_error(body):
    with pytest.raises(ProblemError) as refused:
        READER(call(body))
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body", [b'{"messages": [1], "model": "a", "model": "b"}', b"{}", b'{"messages": "x"}']
)
def test_what_can_be_read_in_two_ways_has_no_key(body):
    with pytest.raises(UnkeyableError):
        READER(call(body))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x-semcache-ttl", b"-1"),
        (b"x-semcache-ttl", b"inf"),
        (b"x-semcache-ttl", b"nan"),
        (b"x-semcache-threshold", b"1.1"),
        (b"x-semcache-threshold", b"-0.1"),
        (b"x-semcache-threshold", b"high"),
        (b"x-semcache-semantic", b"perhaps"),
        (b"x-semcache-replay", b"slowly"),
    ],
)
def test_a_wish_that_means_nothing_names_its_header(name, value):
    with pytest.raises(ProblemError, match=name.decode()):
        READER(call(chat(), (name, value)))


@pytest.mark.parametrize(
    ("name", "value", "looks", "age"),
    [
        (b"cache-control", b"max-age=soon", True, 0),
        (b"cache-control", b"max-age", True, 0),
        (b"cache-control", b"max-age=-5", True, 0),
        (b"cache-control", b"max-age=5", True, 5),
        (b"cache-control", b"unheard-of", True, float("inf")),
        (b"cache-control", b"no-cache", False, float("inf")),
        (b"cache-control", b"No-Cache", False, float("inf")),
        (b"pragma", b"no-cache", False, float("inf")),
        (b"pragma", b"else", True, float("inf")),
    ],
)
def test_https_own_wishes_are_read_as_http_has_it(name, value, looks, age):
    asked = READER(call(chat(), (name, value)))
    assert (asked.wishes.looks, asked.request.controls.max_age_s) == (looks, age)


def test_an_old_header_takes_nothing_back_of_what_the_new_one_says():
    asked = READER(call(chat(), (b"pragma", b"no-cache"), (b"cache-control", b"no-store")))
    assert (asked.wishes.looks, asked.wishes.keeps) == (True, False)


def test_a_ttl_is_no_longer_than_the_operators():
    def of(seconds, longest):
        asked = Reader(longest_ttl_s=longest)(call(chat(), (b"x-semcache-ttl", seconds)))
        return asked.request.controls.ttl_s

    assert (of(b"30", 60), of(b"90", 60), of(b"90", None)) == (30, 60, 90)


def test_wishes_are_read_and_are_no_part_of_the_key():
    said = [
        (b"Cache-Control", b'max-age="60", no-store'),
        (b"X-Semcache-TTL", b"30"),
        (b"x-semcache-threshold", b"0.97"),
        (b"x-semcache-semantic", b"off"),
        (b"x-semcache-tags", b"a, b,,"),
        (b"x-semcache-replay", b"Sentences"),
    ]
    asked = READER(call(chat(), *said))
    wished = asked.request.controls
    assert (wished.ttl_s, wished.max_age_s, wished.similarity_threshold) == (30, 60, 0.97)
    assert (wished.semantic, wished.tags) == (False, ("a", "b"))
    assert (asked.wishes.keeps, asked.wishes.looks, asked.wishes.replay) == (False, True, Replay("sentences"))
    assert same(call(chat()), call(chat(), *said))


# -- prompt paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "semantic"),
    [
        ("$.messages[-1].content", QUESTION, True),
        ("$.messages[3].content", QUESTION, True),
        ("$..content", QUESTION, True),
        ("$.messages[0].content", "Be brief.", False),
        ("$.messages[?@.role=='assistant'].content", "Hello", False),
        ("$.model", "m", False),
        ("$.temperature", "", False),
        ("$.nothing", "", False),
    ],
)
def test_a_path_rewords_nothing_but_what_a_user_asked_last(path, text, semantic):
    request = READER(call(BASE, prompt=path)).request
    assert (request.text, request.controls.semantic) == (text, semantic)


@pytest.mark.parametrize(
    ("asked", "semantic"),
    [
        (QUESTION, True),
        (f"{QUESTION}\nAnswer in one word.", False),
        ([{"type": "text", "text": QUESTION}], True),
        ([{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": QUESTION}], False),
    ],
)
def test_a_path_rewords_one_line_that_came_alone(asked, semantic):
    request = READER(call({"q": asked}, dialect="generic", prompt="$.q")).request
    assert (request.text.startswith(QUESTION), request.controls.semantic) == (True, semantic)


def test_the_same_text_in_another_place_of_the_same_path_is_another_question():
    def of(*texts):
        body = {"of": [{"text": text} for text in texts]}
        return call(body, dialect="generic", prompt="$.of[?@.text != ''].text")

    assert READER(of("x", "")).request.text == READER(of("", "x")).request.text == "x"
    assert not same(of("x", ""), of("", "x"))


def test_two_calls_that_differ_outside_the_path_are_two():
    def of(**more):
        return call({"q": QUESTION, **more}, dialect="generic", prompt="$.q")

    assert same(of(), of())
    assert not same(of(a=1), of(a=2))
    assert not same(of(stream=True), of(stream=False))  # nobody knows what it means here


# -- applications --------------------------------------------------------------------------------------


def test_the_question_is_found_wherever_it_stands_and_the_rest_must_match():
    def of(**body):
        return scope(APP(call(body, url="/ask", dialect="generic")))

    assert of(query=QUESTION)[1] == QUESTION
    assert of(query=QUESTION, k=1)[0] == of(query=REWORDED, k=1)[0] != of(query=QUESTION, k=2)[0]
    assert of(query="x", a="x", b="")[0] != of(query="x", a="", b="x")[0]


# -- nothing breaks it ---------------------------------------------------------------------------------


@given(values, headers, st.sampled_from(["chat", "messages", "responses", "generic"]), st.text(max_size=8))
def test_no_call_whatever_raises_anything_but_what_is_meant_for_its_sender(body, said, dialect, path):
    for reader in (READER, APP):
        for subject in ({"messages": body}, {"input": body}, {"messages": [body]}, body):
            with suppress(ProblemError, UnkeyableError):
                asked = reader(call(subject, *said, dialect=dialect, prompt=path))
                KEYS.scope(asked.request, "") if asked else None


@given(st.binary(max_size=40))
def test_no_bytes_whatever_either(body):
    with suppress(ProblemError, UnkeyableError):
        READER(call(body))
