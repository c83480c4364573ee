"""Where a request goes: each line of the routing contract, and the nearest thing to it that is refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.providers import ANTHROPIC, DEFAULT, GENERIC, OPENAI, Provider, Providers
from semcache_integrations.http.routing import forwarded_headers, route

CHAT, GENERIC_CHAT, LAST = "/v1/chat/completions", "/semcache/v1/chat/completions", "$.messages[-1].content"
HOST, UPSTREAM, PROMPT = "x-llm-proxy-host", "x-llm-proxy-upstream", "x-llm-prompt"


def aimed(path=CHAT, query="", method="POST", providers=DEFAULT, **headers):
    return route(
        method, path, query, [(name.replace("_", "-"), value) for name, value in headers.items()], providers
    )


@pytest.mark.parametrize(
    ("path", "url", "dialect", "prompt"),
    [
        ("/v1/chat/completions", "https://api.openai.com/v1/chat/completions", "chat", LAST),
        ("/chat/completions", "https://api.openai.com/v1/chat/completions", "chat", LAST),
        ("/v1/responses", "https://api.openai.com/v1/responses", "responses", ""),
        ("/responses", "https://api.openai.com/v1/responses", "responses", ""),
        ("/v1/messages", "https://api.anthropic.com/v1/messages", "messages", LAST),
        ("/messages", "https://api.anthropic.com/v1/messages", "messages", LAST),
        ("/v1/embeddings", "https://api.openai.com/v1/embeddings", None, ""),
        ("/v1/chat/completions/c1", "https://api.openai.com/v1/chat/completions/c1", None, ""),
        ("/", "https://api.openai.com/", None, ""),
        ("//elsewhere.example/v1", "https://api.openai.com//elsewhere.example/v1", None, ""),
    ],
)
def test_without_headers_the_table_decides(path, url, dialect, prompt):
    where = aimed(path)
    assert (where.url, where.dialect, where.prompt) == (url, dialect, prompt)


@pytest.mark.parametrize("method", ["GET", "get", "DELETE", "HEAD", "OPTIONS", "PUT"])
def test_only_a_post_asks_a_model(method):
    assert aimed(method=method).dialect is None
    assert aimed(method="post").dialect == "chat"


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({}, "https://api.openai.com/v1/chat/completions"),
        ({HOST: "h.example"}, "https://h.example/v1/chat/completions"),
        ({UPSTREAM: "https://u.example/api/generate"}, "https://u.example/api/generate"),
        ({UPSTREAM: "u.example"}, "https://u.example/"),
        ({HOST: "h.example", UPSTREAM: "u.example/x"}, "https://u.example/x"),
        ({HOST: "ftp://ignored", UPSTREAM: "u.example/x"}, "https://u.example/x"),
    ],
)
@pytest.mark.parametrize("prompt", ["", "$.query"])
def test_upstream_beats_host_beats_the_default_whatever_the_prompt(headers, url, prompt):
    where = route("POST", CHAT, "", [*headers.items(), *([(PROMPT, prompt)] if prompt else [])])
    assert (where.url, where.prompt, where.dialect) == (url, prompt or LAST, "chat")


@pytest.mark.parametrize("name", [PROMPT, "x-llm-proxy-prompt", "X-LLM-Prompt", "X-Llm-Proxy-PROMPT"])
def test_the_prompt_has_an_alias_and_no_case(name):
    assert route("POST", CHAT, "", [(name, " $.query ")]).prompt == "$.query"


@pytest.mark.parametrize("name", ["X-LLM-Proxy-Host", "X-LLM-PROXY-HOST"])
def test_header_names_have_no_case(name):
    assert route("POST", CHAT, "", [(name, "h.example")]).url == "https://h.example/v1/chat/completions"


@pytest.mark.parametrize("names", [(HOST, HOST), (UPSTREAM, "X-LLM-Proxy-Upstream"), (PROMPT, PROMPT), (PROMPT, "x-llm-proxy-prompt")])  # fmt: skip
def test_a_header_given_twice_must_say_the_same(names):
    same = [(name, "x.example/y") for name in names]
    assert route("POST", CHAT, "", same).dialect == "chat"
    with pytest.raises(ProblemError, match=f"{names[0].lower()} is given twice"):
        route("POST", CHAT, "", [*same, (names[0], "z.example")])


@pytest.mark.parametrize("name", [HOST, UPSTREAM, PROMPT])
def test_an_empty_header_is_no_default(name):
    with pytest.raises(ProblemError, match=f"{name} is empty"):
        route("POST", CHAT, "", [(name, " ")])


@pytest.mark.parametrize(
    ("said", "asked", "query"),
    [
        ("", "a=1&a=2&b=%2F+x", "a=1&a=2&b=%2F+x"),
        ("?v=1", "", "v=1"),
        ("?v=1", "beta=true", "v=1&beta=true"),
        ("?v=1", "v=2&beta=true", "v=1&beta=true"),
        ("?v=1", "%76=2", "v=1"),
        ("?v=1", "b=2&b=3&c", "v=1&b=2&b=3&c"),
        ("", "", ""),
    ],
)
@pytest.mark.parametrize("header", [HOST, UPSTREAM])
def test_the_parameters_of_both_are_sent_and_those_of_the_target_win(said, asked, query, header):
    where = route(
        "POST",
        CHAT,
        asked,
        [
            (
                header,
                f"https://x.example/v1/chat/completions{said}"
                if header == UPSTREAM
                else f"https://x.example{said}",
            )
        ],
    )
    assert where.url == "https://x.example/v1/chat/completions" + (f"?{query}" if query else "")


@pytest.mark.parametrize(
    ("path", "headers", "url", "dialect", "prompt"),
    [
        (GENERIC_CHAT, {UPSTREAM: "https://c.example/v1/complete", PROMPT: "$.query"}, "https://c.example/v1/complete", "chat", "$.query"),
        (GENERIC_CHAT, {HOST: "https://c.example/api"}, "https://c.example/api/v1/chat/completions", "chat", LAST),
        (GENERIC_CHAT, {UPSTREAM: "https://c.example/v1/messages"}, "https://c.example/v1/messages", "messages", LAST),
        (GENERIC_CHAT, {UPSTREAM: "https://c.example/v1/responses"}, "https://c.example/v1/responses", "responses", ""),
        ("/semcache/x", {UPSTREAM: "https://c.example/a/chat/completions"}, "https://c.example/a/chat/completions", "chat", LAST),
        ("/semcache/api/generate", {HOST: "http://ollama:11434", PROMPT: "$.prompt"}, "http://ollama:11434/api/generate", "generic", "$.prompt"),
        ("/semcache/api/generate", {HOST: "c.example/v1/messages", PROMPT: "$.p"}, "https://c.example/v1/messages/api/generate", "generic", "$.p"),
    ],
)  # fmt: skip
def test_the_generic_route_goes_where_its_headers_say(path, headers, url, dialect, prompt):
    where = route("POST", path, "", list(headers.items()))
    assert (where.provider, where.url, where.dialect, where.prompt) == (GENERIC, url, dialect, prompt)


def test_another_route_keeps_its_dialect_whatever_its_upstream_is_called():
    assert aimed(x_llm_proxy_upstream="https://c.example/v1/messages").dialect == "chat"


@pytest.mark.parametrize("headers", [[], [(PROMPT, "$.query")], [("x-llm-proxy", "h.example")]])
def test_the_generic_route_without_a_target_names_the_missing_header(headers):
    with pytest.raises(ProblemError, match=f"{UPSTREAM} or {HOST}") as refused:
        route("POST", GENERIC_CHAT, "", headers)
    assert refused.value.status == 400


def test_the_generic_route_of_unknown_form_names_the_missing_path():
    with pytest.raises(ProblemError, match=PROMPT):
        aimed("/semcache/api/generate", x_llm_proxy_host="c.example")
    assert aimed("/semcache/api/tags", method="GET", x_llm_proxy_host="c.example").dialect is None


@pytest.mark.parametrize("path", ["/semcache/v1/put", "/semcache/v1/get"])
def test_the_caches_own_endpoints_have_no_upstream(path):
    with pytest.raises(ProblemError) as refused:
        aimed(path, x_llm_proxy_host="c.example")
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("headers", "provider", "url"),
    [
        ({}, OPENAI, "https://api.openai.com/v1/models"),
        ({"Anthropic-Version": "2023-06-01"}, ANTHROPIC, "https://api.anthropic.com/v1/models"),
        ({HOST: "h.example/v1"}, OPENAI, "https://h.example/v1/models"),
        ({"anthropic-version": "2023-06-01", HOST: "h.example"}, ANTHROPIC, "https://h.example/v1/models"),
        ({UPSTREAM: "u.example/m"}, OPENAI, "https://u.example/m"),
    ],
)
def test_a_path_of_nobody_passes_through(headers, provider, url):
    where = route("GET", "/v1/models", "", list(headers.items()))
    assert (where.provider, where.dialect, where.url) == (provider, None, url)
    assert route("POST", "/v1/models", "", list(headers.items())).dialect is None


def test_a_table_of_ones_own_decides_where_nobodys_paths_go():
    mine = DEFAULT.with_provider(replace(OPENAI, base="http://gateway.example/llm"))
    assert aimed("/v1/models", providers=mine).url == "http://gateway.example/llm/v1/models"
    asked = Provider("asked", "https://a.example", {"/ask": ("generic", "/v2/ask")}, "$.query")
    assert (
        aimed("/ask", providers=Providers(asked)).prompt,
        aimed("/ask", providers=Providers(asked)).dialect,
    ) == ("$.query", "generic")
    with pytest.raises(ProblemError) as refused:
        aimed("/v1/models", providers=Providers(asked))
    assert refused.value.status == 404


@pytest.mark.parametrize(
    "path", ["", "*", "v1/models", "https://evil.example/", "/v1/a b", "/v1\r\n", "/v1?x", "/v1#x", "/\ud800"]
)
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(ProblemError, match="path"):
        aimed(path)


@pytest.mark.parametrize("query", ["a b", "a\r\nb", "a#b", "\x7f"])
def test_a_query_that_is_none_is_refused(query):
    with pytest.raises(ProblemError, match="query"):
        aimed(query=query)


def test_escapes_in_a_path_are_kept():
    assert aimed("/v1/files/a%2Fb%20c/content").url == "https://api.openai.com/v1/files/a%2Fb%20c/content"


GONE = ["connection", "keep-alive", "proxy-authorization", "proxy-connection", "proxy-authenticate", "te", "trailer", "upgrade",
        "transfer-encoding", "host", "content-length", "http2-settings", "x-named", "x-llm-prompt", "x-llm-proxy-host",
        "x-llm-proxy-upstream", "x-llm-proxy-prompt", "x-llm-anything", "x-semcache-tenant"]  # fmt: skip
KEPT = ["authorization", "x-api-key", "accept-encoding", "cookie", "content-type", "content-encoding", "anthropic-version",
        "x-llmx", "x-semcached", "x-proxy-a", "hostname", "x-forwarded-host", "trailers"]  # fmt: skip


@pytest.mark.parametrize("cased", [str.lower, str.upper, str.title])
def test_headers_for_one_hop_and_for_this_cache_stay_here(cased):
    sent = [(cased(name), "v") for name in [*GONE, *KEPT]]
    connection = (cased("connection"), "close ,X-NAMED")
    assert forwarded_headers([*sent, connection]) == [(cased(name), "v") for name in KEPT]


def test_repeated_headers_and_their_order_are_kept():
    headers = [("Cookie", "a=1"), ("Accept", "x"), ("cookie", "b=2")]
    assert route("POST", CHAT, "", headers).headers == tuple(headers)


cases = st.sampled_from([str.lower, str.upper, str.title, str.swapcase])
known = st.builds(lambda name, cased: cased(name), st.sampled_from([*GONE, *KEPT]), cases)
values = st.sampled_from(
    ["https://x.example/a?b=c", "x.example:8080", "close, x-named", "$.query", "", "[::1]"]
) | st.text(max_size=30)
soups = st.lists(st.tuples(known | st.text(max_size=12), values), max_size=8)
odd_paths = st.sampled_from([CHAT, GENERIC_CHAT, "/semcache/x", "/v1/models", "/v1/messages"]) | st.text(
    max_size=20
)


@given(st.sampled_from(["POST", "GET", ""]), odd_paths, st.text(max_size=12), soups)
def test_no_soup_of_headers_raises_anything_else(method, path, query, headers):
    with suppress(ProblemError):
        where = route(method, path, query, headers)
        parts = urlsplit(where.url)
        assert where.url.isascii()
        assert parts.scheme in {"http", "https"}
        assert parts.hostname
        assert parts.username is None
        assert "#" not in where.url


@given(soups)
def test_nothing_for_this_hop_gets_through(headers):
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower().strip() == "connection"
        for token in value.split(",")
    }
    sent = [name.strip().lower() for name, _ in forwarded_headers(headers)]
    assert not named.intersection(sent)
    assert not {*GONE[:12]}.intersection(sent)
    assert not [name for name in sent if name.startswith(("x-llm-", "x-semcache-", "proxy-"))]
