"""LangChain's standard tests of chat models, for one model three times: plain, with a new cache, with a full one.

A local upstream cannot please all of them, so pytest does not collect this file; `test_standard_chat.py` runs it.
The order of the classes matters: those of the full cache come after those that fill it.
"""

from __future__ import annotations

import pytest
from doubles.openai_upstream import OpenAIUpstream
from langchain_core.load import dumpd
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from semcache_integrations.langchain import LangChainSemanticCache, with_semantic_cache

# What langchain-openai warns of on its own way to the provider, which a hit does not go.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),  # a parsed answer that is streamed
    pytest.mark.filterwarnings("ignore:Received a Pydantic BaseModel V1 schema"),
]


@pytest.fixture(scope="session")
def upstream():
    with OpenAIUpstream() as one:
        yield one


@pytest.fixture(scope="session")
def shared_cache():
    with LangChainSemanticCache(hash_only=True) as one:
        yield one


@pytest.fixture(scope="class", autouse=True)
def counted(request, upstream, shared_cache, record_testsuite_property):
    """Tell the report how often the upstream was asked on behalf of a class."""
    request.cls.url, request.cls.shared_cache = upstream.url, shared_cache
    before = upstream.count
    yield
    record_testsuite_property(request.cls.__name__, upstream.count - before)


class Plain:
    """What the tests ask about a model, and how they get one."""

    supports_json_mode = True
    model_override_value = "gpt-4o"

    @property
    def chat_model_class(self):
        return type(self.made(ChatOpenAI(model="m")))

    @property
    def chat_model_params(self):
        return {"model": "gpt-4o-mini", "stream_usage": True, "base_url": self.url}

    @property
    def init_from_env_params(self):
        return {"OPENAI_API_KEY": "from env"}, {"model": "gpt-4o-mini"}, {"openai_api_key": "from env"}

    @pytest.fixture
    def model(self, request):
        return self.made(self.bare(**getattr(request, "param", {})))

    @pytest.fixture
    def snapshot(self):
        """What a model is serialised to: no file, but what the bare one is."""
        return lambda name: dumpd(self.bare())

    def bare(self, **settings):
        return ChatOpenAI(**{**self.standard_chat_model_params, **self.chat_model_params, **settings})

    def made(self, model):
        return model


class Cached(Plain):
    def made(self, model):
        return with_semantic_cache(model, self.shared_cache)


class TestUnitPlain(Plain, ChatModelUnitTests):
    pass


class TestUnitCached(Cached, ChatModelUnitTests):
    pass


class TestPlain(Plain, ChatModelIntegrationTests):
    pass


class TestMissing(Cached, ChatModelIntegrationTests):
    pass


class TestHitting(Cached, ChatModelIntegrationTests):
    pass
