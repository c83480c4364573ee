"""The laws of all vetoes: pure, symmetric, total, linear; a text passes against itself however it is written."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from importlib import resources
from itertools import islice, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from semcache_integrations.core.guards import (
    VETOES,
    Reading,
    literals,
    numbers,
    read,
    reading,
    subjects,
    vetoes,
)

LINES = (
    "not without is safe unsafe buy sell before after 3 three 1,000 1k 5km $5 15% Monday today may cat dog Paris",
    "from to by was eaten than what when where who how many I can't don't isn't iPhone get_x main.py C++ 2FA `x`",
    "``` \" ' “ ” Ann Bob twenty - one hundred and half million él no sin los der die nicht 中文 Привет ? . , ;",
    "(k) 401 10² -40 ½ ß İ ŉ or the a please ignore \u0131 ǰ ﬁ n't '' d'un aujourd'hui +1 == <= 1/2 9:30",
)
WORDS = [word for line in LINES for word in line.split()]
sentences = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
texts = st.one_of(st.text(max_size=80), sentences)
names = st.sampled_from(list(VETOES))


def cased(text):
    return st.sampled_from([text.upper(), text.lower(), text.title(), text.swapcase(), text.capitalize()])


def same_letters(one, two):
    """Unicode's canonical caseless match (D145): some capitals, such as dotless i's, are another letter's."""
    return fold(one) == fold(two)


def fold(text):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


@given(texts, texts)
def test_no_veto_raises_and_each_is_symmetric(a, b):
    for name, refuses in VETOES.items():
        assert refuses(read(a), read(b)) is refuses(read(b), read(a)), name


@given(texts)
def test_no_veto_refuses_a_text_against_itself(text):
    assert [name for name, refuses in VETOES.items() if refuses(read(text), read(text))] == []


@given(texts.flatmap(lambda text: st.tuples(st.just(text), cased(text))))
def test_letter_case_is_no_difference(pair):
    text, variant = pair
    assume(same_letters(text, variant))
    assert vetoes(read(text), read(variant)) == ""


@given(texts, st.sampled_from(["NFC", "NFD"]))
def test_unicode_normal_form_is_no_difference(text, form):
    assert vetoes(read(text), read(unicodedata.normalize(form, text))) == ""


@given(
    texts,
    st.sampled_from([" ", "\n", "\t ", "  \r\n"]),
    st.sampled_from(["", "?", "!", ".", "...", " ?!", "。"]),
)
def test_white_space_and_closing_punctuation_are_no_difference(text, space, end):
    variant = space + space.join(text.split()) + end + space
    assert vetoes(read(text), read(variant)) == ""


@given(texts, texts, names)
def test_leaving_out_a_name_disables_that_veto_and_no_other(a, b, name):
    one, two = read(a), read(b)
    others = [other for other in VETOES if other != name]
    refusing = [other for other in others if VETOES[other](one, two)]
    assume(reading.essence(one) != reading.essence(two))
    assert vetoes(one, two, others) == (refusing[0] if refusing else "")
    assert vetoes(one, two, {name}) == (name if VETOES[name](one, two) else "")


@given(texts, texts)
def test_a_verdict_depends_on_the_two_texts_alone(a, b):
    once = vetoes(read(a), read(b))
    used = read(a)
    vetoes(used, read("something else entirely, 7 times"))
    assert vetoes(used, read(b)) == once


def test_no_vetoes_by_name_means_no_veto():
    assert vetoes(read("buy 3"), read("sell 4"), ()) == ""
    assert vetoes(read("buy 3"), read("sell 4")) != ""


def test_punctuation_inside_a_text_is_a_difference():
    assert vetoes(read("while i<n"), read("while i>n")) == "operator"
    assert vetoes(read("use C++"), read("use C#")) == "identifier"


SHAPES = (
    "a|1|word |a1 |don't |' |\"|\"x\" |`|`a |``` |. |-1|a_|a@|1,|1.|1:|A |Ab |not |I cannot |to |x to y |a'|+ |a + ",
    "twenty |hundred thousand |half a |one |how much |what |may |cat |was hit by |²|Ж |中|İ|  |a\n|a+|//|http://|a.b|((",
)
UNITS = [unit for line in SHAPES for unit in line.split("|")]
PATTERNS = [
    found
    for module in (literals, numbers, reading, subjects)
    for found in vars(module).values()
    if isinstance(found, re.Pattern)
]


@pytest.mark.parametrize("unit", UNITS)
def test_work_grows_no_faster_than_the_text(unit):
    """Counted in lines of our code that run; what regular expressions do inside is the next test's matter."""
    small, large = (operations(unit * n) for n in (400, 1600))
    assert large <= 4.6 * small + 400


def test_work_grows_no_faster_than_the_number_of_different_names_and_quotes():
    for form in ("ask {0} to", 'say "{0}" and', "the Q{0} of", "`{0}` or", "{0}_x is", "{0} to"):
        words = ["".join(letters) for letters in islice(product("abcdefgh", repeat=5), 600)]
        small, large = (operations(" ".join(map(form.format, words[:size]))) for size in (150, 600))
        assert large <= 4.6 * small + 400, form


def operations(text):
    """Lines of the package's code that run while two readings of `text` are made and compared by every veto."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if "guards" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        one, two = read(text), read(text + " and some more words here")
        for refuses in VETOES.values():
            refuses(one, two)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("unit", UNITS)
def test_no_regular_expression_backtracks_beyond_the_text(unit):
    """Four times the text takes about four times as long: 16 times would be quadratic; noise below 5 ms is let be."""
    for pattern in PATTERNS:
        small, large = (
            min(seconds(pattern, unit * (size // len(unit))) for _ in range(3)) for size in (4_000, 16_000)
        )
        assert large < max(9 * small, 0.005), pattern.pattern


def seconds(pattern, text):
    start = time.process_time()
    for _ in pattern.finditer(text):
        pass
    pattern.fullmatch(text)
    return time.process_time() - start


def test_every_word_list_states_its_origin():
    folder = resources.files("semcache_integrations.core").joinpath("data")
    lists = [file for file in folder.iterdir() if file.name.endswith(".txt")]
    assert lists
    for file in lists:
        head = [line for line in file.read_text("utf-8").splitlines() if line.startswith("#")]
        assert any("Written by us" in line for line in head), file.name


def test_a_reading_is_a_frozen_value():
    one = read("What is 2+2?")
    assert one == read("What is 2+2?")
    with pytest.raises(AttributeError):
        one.plain = "else"  # type: ignore[misc] # frozen
    assert isinstance(one, Reading)
