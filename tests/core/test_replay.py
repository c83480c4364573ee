"""Replay: every strategy and size gives the text back, and cuts where a reader would."""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from itertools import accumulate, pairwise
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay, Strategy, split

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # one emoji of five code points
THUMB = "\U0001f44d\U0001f3fd"  # with a skin tone
FLAGS = "\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea"  # France, Germany
TEXTS = [
    "",
    " ",
    "\n\n",
    "  leading and trailing  ",
    "def f(x):\n    if x:\n\treturn  3.14\n\n\n# done\n",
    "| a | b |\n|---|---|\n| 1 |  2 |\n",
    "line one\r\nline two\r\n\r\nnext paragraph\r\n",
    "你好，世界。今天天气很好！真的吗？是的。",  # noqa: RUF001 - full-width punctuation is the case
    "カ\u3099キ\u3099ク\u3099",
    f"hi {FAMILY}{FAMILY} {THUMB}{THUMB} {FLAGS}",
    "e\u0301" * 9,
    "\u1112\u1161\u11ab" * 4,  # Hangul as letters that join
    "\ud83d\ude00\ud83d\ude00",  # two halves each, as careless JSON readers leave them
    "a \u0301b",  # an accent on a blank
    "\u0301",
]
replays = st.builds(Replay, st.sampled_from(get_args(Strategy)), st.integers(1, 12))
punctuated = st.text(st.sampled_from("aB1 .!?…。\"')\r\n\t\u0301\u200d\U0001f1eb中e.g"))


def pieces(text: str, strategy: Strategy, size: int = 1) -> list[str]:
    return list(split(text, Replay(strategy, size)))


def parted(before: str, after: str) -> bool:
    """Whether these two neighbours belong to one shown character."""
    return (
        unicodedata.category(after).startswith("M")
        or "\u200d" in (before, after)
        or before + after == "\r\n"
        or (0xD800 <= ord(before) < 0xDC00 <= ord(after) < 0xE000)
    )


@given(
    text=st.one_of(st.text(), st.text(st.characters()), punctuated, st.sampled_from(TEXTS)), replay=replays
)
@example(text=TEXTS[4] * 3, replay=Replay("words", 2))
def test_no_code_point_is_lost_and_no_chunk_is_empty(text, replay):
    chunks = list(split(text, replay))
    assert "".join(chunks) == text
    assert all(chunks)
    assert not any(parted(one[-1], two[0]) for one, two in pairwise(chunks))


@given(text=punctuated, replay=replays)
def test_a_larger_size_cuts_only_where_size_one_cuts(text, replay):
    """Units are counted; their borders do not depend on how many go into a chunk."""
    if replay.strategy == "characters":
        return
    single = list(accumulate(map(len, pieces(text, replay.strategy))))
    expected = {*single[replay.size - 1 :: replay.size], *single[-1:]}
    assert set(accumulate(map(len, split(text, replay)))) == expected


@pytest.mark.parametrize("strategy", get_args(Strategy))
@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_known_traps_come_back_whole(strategy, size, number):
    assert "".join(pieces(TEXTS[number], strategy, size)) == TEXTS[number]


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("one two three four five", 2, ["one two ", "three four ", "five"]),
        ("  x =  1\n    y", 1, ["  x ", "=  ", "1\n    ", "y"]),
        ("你好世界", 2, ["你好", "世界"]),
        ("用Python写", 1, ["用", "Python", "写"]),
        ("   ", 8, ["   "]),
    ],
)
def test_words_keep_the_white_space_that_follows_them(text, size, expected):
    assert pieces(text, "words", size) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
        ('He said "Stop." Then he left.', ['He said "Stop." ', "Then he left."]),
        ("It was **bold.** Next.", ["It was **bold.** ", "Next."]),
        ("It was 1999. Then came 2000.", ["It was 1999. ", "Then came 2000."]),
        ("今天。明天！", ["今天。", "明天！"]),  # noqa: RUF001 - full-width punctuation is the case
        ("A line\nanother\n\nlast", ["A line\n", "another\n\n", "last"]),
        ("One.\r\nTwo.\r\n", ["One.\r\n", "Two.\r\n"]),
        ("Really?! Yes.", ["Really?! ", "Yes."]),
    ],
)
def test_sentences_end_at_their_marks_and_at_line_ends(text, expected):
    assert pieces(text, "sentences") == expected


@pytest.mark.parametrize(
    "text",
    [
        "Pi is 3.14 or so",
        "Take e.g. Python for this",
        "The U.S. Army and the U.K. Navy",
        "Ask Dr. Smith, Mr. Jones and J. Doe",
        "Acme Inc. Is that a firm, vs. No. 5",
        "She holds a Ph.D. From Oxford",
        "See main.py and a.b.c for x != y",
        "Well... maybe… later",
        "1. First of all",
        "version 2.0.1-rc.1 of https://example.com/a?b=c",
    ],
)
def test_full_stops_that_end_no_sentence_do_not_cut(text):
    assert pieces(text, "sentences") == [text]


def test_a_list_number_cuts_no_item_but_a_number_before_a_full_stop_does():
    assert pieces("Steps:\n1. Open it.\n2. Close it.", "sentences") == [
        "Steps:\n",
        "1. Open it.\n",
        "2. Close it.",
    ]
    assert pieces("I have 2. You have 3.", "sentences") == ["I have 2. ", "You have 3."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\n\nc\n \n\nd", ["a\nb\n\n", "c\n \n\n", "d"]),
        ("a\r\n\r\nb\r\nc", ["a\r\n\r\n", "b\r\nc"]),
        ("x:\n\n    indented", ["x:\n\n", "    indented"]),
    ],
)
def test_paragraphs_end_at_blank_lines_and_leave_the_indentation_to_the_next(text, expected):
    assert pieces(text, "paragraphs") == expected


def test_characters_are_counted_and_graphemes_stay_whole():
    assert pieces("abcdefg", "characters", 3) == ["abc", "def", "g"]
    assert pieces(FAMILY + THUMB + "x", "characters") == [FAMILY, THUMB, "x"]
    assert pieces(FLAGS, "characters") == [FLAGS[:2], FLAGS[2:]]
    assert pieces("e\u0301\u0302a", "characters") == ["e\u0301\u0302", "a"]
    assert pieces("\r\n\n", "characters") == ["\r\n", "\n"]
    assert pieces("한" + "\u1112\u1161\u11ab", "characters") == ["한", "\u1112\u1161\u11ab"]


def test_none_is_one_chunk_and_an_empty_text_is_no_chunk():
    assert pieces("One. Two.\n\nThree", "none") == ["One. Two.\n\nThree"]
    assert [pieces("", strategy) for strategy in get_args(Strategy)] == [[]] * 5


def test_the_default_is_eight_words():
    assert Replay() == Replay("words", 8, delay_s=0.0)
    assert len(list(split("w " * 17, Replay()))) == 3


def test_a_replay_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Replay().size = 3  # type: ignore[misc] - that is the point


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "lines"},
        {"strategy": ""},
        {"size": 0},
        {"size": -1},
        {"size": 2.5},
        {"delay_s": -0.1},
        {"delay_s": math.nan},
        {"delay_s": math.inf},
    ],
)
def test_an_impossible_replay_is_refused_at_construction(settings):
    with pytest.raises(ConfigurationError, match=r"replay"):
        Replay(**settings)


@pytest.mark.parametrize("strategy", get_args(Strategy))
@pytest.mark.parametrize(
    "unit", [".", "\n", " ", "\n ", "!", '"', ". ", "。", "\u0301", "\U0001f1eb", "a\u200d"]
)
def test_long_runs_of_one_character_are_read_once(strategy, unit):
    """200,000 of them would take hours where an expression backtracks."""
    text = unit * (200_000 // len(unit))
    assert sum(map(len, split(text, Replay(strategy, 8)))) == len(text)
