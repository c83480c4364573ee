"""What a user of LiteLLM could do to get a wrong answer out of the cache."""

from __future__ import annotations

import litellm
import pytest

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
