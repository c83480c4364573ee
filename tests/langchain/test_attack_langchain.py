"""What a user of LangChain could do to get a wrong answer out of the cache."""

from __future__ import annotations

import pytest
from doubles.langchain_calls import CountingChat
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate

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
