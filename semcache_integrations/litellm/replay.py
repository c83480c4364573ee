"""Stand-in for core/replay.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

STRATEGIES = ("words", "sentences", "paragraphs", "characters")


@dataclass(frozen=True, slots=True)
class Replay:
    """How an answer is streamed."""

    by: Literal["words", "sentences", "paragraphs", "characters"] = "words"
    size: int = 1
    delay_s: float = 0.0


def split(text: str, replay: Replay) -> list[str]:
    """Cut a text, losing nothing."""
    if replay.by == "characters":
        return [text[i : i + replay.size] for i in range(0, len(text), replay.size)]
    if replay.by != "words":
        return re.findall(r"(?s).+?(?:[.!?]+\s+|\n+|$)", text)
    return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])
