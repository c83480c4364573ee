"""What a user of LangChain could do to get a wrong answer out of the cache."""

from __future__ import annotations

import os

import pytest
from doubles.langchain_calls import CountingChat
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.outputs import Generation, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import OpenAI

TOWER = (
    "The Eiffel Tower is a lattice tower of wrought iron on the Champ de Mars in Paris, named after the engineer "
    "Gustave Eiffel, whose company designed and built it from 1887 to 1889; it is three hundred metres high."
)
RAG = ChatPromptTemplate.from_template(
    "Answer from the context.\n\nContext: {context}\n\nQuestion: {question}\nAnswer:"
)


def mark(message):
    return message.response_metadata.get("semcache")


def test_another_question_to_the_same_retrieved_context_misses_and_its_repeat_hits(adapter):
    """The whole template is one human message, in which the question is a small part of what is embedded."""
    chain = RAG | CountingChat()
    chain.invoke({"context": TOWER, "question": "How tall is the tower?"})
    assert mark(chain.invoke({"context": TOWER, "question": "Where is the tower?"})) is None
    assert mark(chain.invoke({"context": TOWER, "question": "How tall is the tower?"}))["tier"] == "hash"


@pytest.mark.parametrize("frame", ["{}", "\n  {}\n"], ids=["bare", "between empty lines"])
def test_a_question_of_one_line_may_be_reworded_also_after_a_document_that_stays(adapter, frame):
    model = CountingChat()

    def ask(document, question):
        parts = [{"type": "text", "text": document}, {"type": "text", "text": frame.format(question)}]
        return mark(model.invoke([SystemMessage("s"), HumanMessage(parts)]))

    ask("line\nline", "What is the capital of France?")
    assert ask("line\nline", "What's the capital of France?")["tier"] == "semantic"
    assert ask("line\nlines", "What's the capital of France?") is None


@pytest.mark.parametrize("name", ["OPENAI_API_BASE", "OPENAI_BASE_URL"])
def test_a_text_models_server_is_keyed_if_the_environment_names_it(adapter, monkeypatch, name):
    """A chat model's key holds the first of them, a text model's neither."""
    monkeypatch.setattr(OpenAI, "_generate", answer_once_for_each_server(name))
    monkeypatch.setenv(name, "http://one")
    assert OpenAI().invoke("q") == OpenAI().invoke("q") == "from http://one"
    monkeypatch.setenv(name, "http://two")
    assert OpenAI().invoke("q") == "from http://two"
    assert adapter.stats().hits == 1


def answer_once_for_each_server(name):
    def generate(model, prompts, **arguments):
        return LLMResult(generations=[[Generation(text=f"from {os.environ[name]}")] for _ in prompts])

    return generate


@pytest.mark.xfail(strict=True, reason="like langchain#40403: a text model's base URL is in no key")
def test_a_text_models_server_is_keyed_if_the_model_names_it(adapter, monkeypatch):
    def generate(model, prompts, **arguments):
        return LLMResult(generations=[[Generation(text=model.openai_api_base)] for _ in prompts])

    monkeypatch.setattr(OpenAI, "_generate", generate)
    assert OpenAI(base_url="http://one").invoke("q") == "http://one"
    assert OpenAI(base_url="http://two").invoke("q") == "http://two"
