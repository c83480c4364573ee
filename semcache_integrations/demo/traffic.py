"""The demonstration's labelled questions and the answer that each label needs; `data/README.md` says whose they are.

The law: two labels never share an answer, so an answer's text proves whether a hit was right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        text: What is asked.
        label: Which answer it needs.
        source: `banking77` or `slots`, the data set that it is from.
    """

    text: str
    label: str
    source: str


def load_traffic(limit: int | None = None) -> list[Question]:
    """Return the questions in the order in which they are asked.

    Args:
        limit: Most questions, None for all.
    """
    rows = (json.loads(line) for line in _read("questions.jsonl").splitlines()[:limit])
    return [Question(row["text"], row["class"], row["source"]) for row in rows]


def answer_of(label: str) -> str:
    """Return the answer that a label needs.

    Raises:
        KeyError: no question has this label.
    """
    return _answers()[label]


@cache
def _answers() -> Mapping[str, str]:
    answers: dict[str, str] = json.loads(_read("answers.json"))
    return answers


def _read(name: str) -> str:
    return files(__package__).joinpath(f"data/{name}").read_text(encoding="utf-8")
