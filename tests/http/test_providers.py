"""The table of providers: every row, its nearest neighbour that is no row, and how rows are added."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.providers import (
    ANTHROPIC,
    DEFAULT,
    GENERIC,
    OPENAI,
    Provider,
    Providers,
    dialect_of,
)


@pytest.mark.parametrize(
    ("path", "name", "dialect", "upstream"),
    [
        ("/v1/chat/completions", "openai", "chat", "/v1/chat/completions"),
        ("/chat/completions", "openai", "chat", "/v1/chat/completions"),
        ("/v1/responses", "openai", "responses", "/v1/responses"),
        ("/responses", "openai", "responses", "/v1/responses"),
        ("/v1/messages", "anthropic", "messages", "/v1/messages"),
        ("/messages", "anthropic", "messages", "/v1/messages"),
        ("/semcache/v1/chat/completions", "generic", "chat", "/v1/chat/completions"),
        ("/semcache/v1/responses", "generic", "responses", "/v1/responses"),
        ("/semcache/v1/messages", "generic", "messages", "/v1/messages"),
        (
            "/semcache/openai/deployments/x/chat/completions",
            "generic",
            "chat",
            "/openai/deployments/x/chat/completions",
        ),
        ("/semcache/api/generate", "generic", "generic", "/api/generate"),
        ("/semcache/v1/putt", "generic", "generic", "/v1/putt"),
    ],
)
def test_a_path_in_the_table_is_found(path, name, dialect, upstream):
    place = DEFAULT.at(path)
    assert (place.provider.name, place.dialect, place.path) == (name, dialect, upstream)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/chat", "/v1/chat/completions/", "/v1/chat/completions/abc", "/v1/Chat/Completions", "/v1/embeddings",
     "/v1/models", "/v1/completions", "/v1/responses/r1", "/v1/messages/count_tokens", "/v1/messages/batches",
     "/semcache/v1/put", "/semcache/v1/get", "/semcache", "/semcachex/v1/chat/completions", "/metrics", ""],
)  # fmt: skip
def test_a_path_beside_the_table_is_nobodys(path):
    assert DEFAULT.at(path) is None


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/api/v1/chat/completions", "chat"),
        ("/openai/deployments/x/chat/completions", "chat"),
        ("/openai/v1/responses", "responses"),
        ("/openai/responses", "responses"),
        ("/anthropic/v1/messages", "messages"),
        ("/anthropic/messages", "messages"),
        ("/messages", "messages"),
        ("/v1/messages", "messages"),
        ("/v1/threads/t1/messages", None),
        ("/v1/chat/completions/c1/messages", None),
        ("/v1/messages/count_tokens", None),
        ("/v1/messages/batches", None),
        ("/v1/responses/r1", None),
        ("/v1/responses/r1/input_items", None),
        ("/v1/chat/completions/c1", None),
        ("/v1/embeddings", None),
        ("/v1/models", None),
        ("/v1/completions", None),
        ("/v1/xresponses", None),
        ("/v1/chat/completions\n", None),
        ("", None),
    ],
)
def test_the_end_of_a_path_tells_its_dialect(path, dialect):
    assert dialect_of(path) == dialect


MISTRAL = Provider(
    "mistral",
    "https://api.mistral.ai",
    {"/mistral/": ("generic", "/"), "/mistral/v1/fim": ("chat", "/v1/fim")},
)


def test_a_provider_is_added_without_touching_the_table():
    more = DEFAULT.with_provider(MISTRAL)
    assert DEFAULT.at("/mistral/v1/chat/completions") is None
    assert more.at("/mistral/v1/chat/completions")[1:] == ("chat", "/v1/chat/completions")
    assert more.at("/mistral/v1/fim").dialect == "chat"  # a whole path beats the beginning of one
    assert more.at("/mistral/v1/ocr").dialect == "generic"
    assert (len(DEFAULT), len(more)) == (3, 4)


def test_a_provider_of_the_same_name_takes_its_place():
    mine = replace(OPENAI, base="http://localhost:9000")
    more = DEFAULT.with_provider(mine)
    assert more.named("openai") is mine
    assert len(more) == 3
    assert more.at("/v1/chat/completions").provider.base == "http://localhost:9000"
    assert more.named("nobody") is None


def test_the_newest_provider_is_asked_first_and_the_longest_beginning_wins():
    mine = Provider(
        "mine",
        "https://mine.example",
        {"/v1/messages": ("messages", "/m"), "/a/": ("generic", "/"), "/a/b/": ("generic", "/b2/")},
    )
    more = DEFAULT.with_provider(mine)
    assert more.at("/v1/messages").provider is mine
    assert more.at("/a/b/c").path == "/b2/c"
    assert [provider.name for provider in more] == ["mine", "openai", "anthropic", "generic"]


def test_a_table_that_cannot_work_is_refused():
    with pytest.raises(ConfigurationError, match="same name"):
        Providers(OPENAI, OPENAI)
    with pytest.raises(ConfigurationError, match="begin with"):
        Provider("p", "https://p.example", {"v1/chat": ("chat", "/v1/chat")})
    with pytest.raises(ConfigurationError, match="begin with"):
        Provider("p", "https://p.example", {"/v1/chat": ("chat", "v1/chat")})


def test_a_row_cannot_be_changed_and_can_be_a_key():
    routes = dict(OPENAI.routes)
    mine = Provider("mine", "", routes)
    routes.clear()
    assert mine.routes
    with pytest.raises(TypeError):
        mine.routes["/x"] = ("chat", "/x")  # the annotation says so, too
    assert len({OPENAI, ANTHROPIC, GENERIC, OPENAI}) == 3
