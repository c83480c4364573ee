"""The labelled questions of the demonstration and the answer that each label needs; see `data/README.md`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        text: What is asked.
        label: The answer that it needs: two labels never share one.
        source: The data set that it is from.
    """

    text: str
    label: str
    source: str


def load_traffic(limit: int | None = None) -> list[Question]:
    """Return the questions in the order in which they are asked.

    Args:
        limit: Most questions, None for all.
    """
    lines = files(__package__).joinpath("data/questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:limit]]
    return [Question(row["text"], row["class"], row["source"]) for row in rows]


def answer_of(label: str) -> str:
    """Return the answer that a label needs, another one for each label."""
    topic, *values = label.replace("_", " ").split("|")
    about = f" ({', '.join(values)})" if values else ""
    return f"Here is what to know about: {topic}{about}. Is there anything else that you would like to ask?"
