"""SWAPS: the same words in another order ask something else, unless the order is known to be free.

Encoders hardly see it: "a small black dog and a big white cat" and "a big black dog and a small white cat" are
one to them. Free are: a phrase with a preposition or a conjunction that moves as a whole ("in July, how is …"),
equals around "and", "or" and symmetric words ("married to"), particles and adverbs, and key words without grammar.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.likeness import common_start
from semcache_integrations.core.guards.reading import Reading, english, feature, words
from semcache_integrations.core.guards.things import things_by_stem

Clause = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""What is said, and the phrases with a preposition about it, sorted: their order is free."""
Swap = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""X, M and Y, where the other text has Y M X."""

_LONGEST = 40  # words; a longer reordering is no swap of two things
_LONGEST_PHRASE = 4  # words of a phrase that moves: "in the south of", "at the end"
_PERSON = {"me": "i", "him": "he", "them": "they", "us": "we"}
_MARKS = frozenset(".,;:?!\n")
_STOPS = frozenset(".;:?!\n")
_COUNTRIES = "alternatives.countries"
_BE = frozenset({"is", "are", "was", "were", "be"})
_ARTICLES = frozenset({"a", "an", "the", "every", "each", "any", "all"})


def differ_in_order(a: Reading, b: Reading) -> bool:
    """Whether both texts have the same words in another order, and nothing says that the order is free."""
    mine, yours = _sequence(a), _sequence(b)
    if len(mine) != len(yours) or mine == yours or len(mine) > _LONGEST or not english(a, b):
        return False
    if set(mine) != set(yours) or abs(_grammar(a) - _grammar(b)) > 1:
        return False
    if sorted(mine) != sorted(yours):
        return True  # one is said twice here, the other there
    if _clauses(a) == _clauses(b) or _are_keywords(a, b):
        return False
    front, back = common_start(mine, yours), common_start(mine[::-1], yours[::-1])
    one, two = mine[front : len(mine) - back], yours[front : len(yours) - back]
    before, behind = mine[:front], mine[len(mine) - back :]
    return not any(
        _is_free(a, b, swap, behind) or _is_shared(before, swap[1], behind) or _is_cut(a, b, front, swap)
        for swap in _swaps(one, two)
    )


def _swaps(one: tuple[str, ...], two: tuple[str, ...]) -> Iterator[Swap]:
    """Every way to read the one as X M Y and the other as Y M X."""
    size = len(one)
    fronts = [n for n in range(1, size) if one[:n] == two[size - n :]]
    backs = [n for n in range(1, size) if one[size - n :] == two[:n]]
    return (
        (one[:front], one[front : size - back], one[size - back :])
        for front in fronts
        for back in backs
        if front + back <= size and one[front : size - back] == two[back : size - front]
    )


def _is_shared(before: tuple[str, ...], middle: tuple[str, ...], behind: tuple[str, ...]) -> bool:
    """Whether equals have a word in common: "a love marriage and an arranged marriage", "web design and web space"."""
    equal = lexicon.words("order", "equal")
    if not middle:
        return False
    if middle[-1] in equal and behind[: len(middle) - 1] == middle[:-1]:
        return True
    return middle[0] in equal and before[len(before) - len(middle) + 1 :] == middle[1:]


def _is_cut(a: Reading, b: Reading, front: int, swap: Swap) -> bool:
    """Whether two sentences or clauses changed places around a mark: "I feel lost, what now?"."""
    left, middle, right = swap
    return not middle and (front + len(left) in _cuts(a) or front + len(right) in _cuts(b))


def _is_free(a: Reading, b: Reading, swap: Swap, behind: tuple[str, ...]) -> bool:
    """Whether X M Y says the same as Y M X."""
    left, middle, right = swap
    if not middle:
        return any(_moves_freely(block) or _is_predicate(block, a, b) for block in (left, right))
    equal, said = lexicon.words("order", "equal"), frozenset(_sequence(a))
    if middle[0] in equal and (len(middle) == 1 or middle[-1] in equal):
        return True
    if middle[-1] in equal and len(left) == len(right) == 1 and "," in a.tokens and "," in b.tokens:
        return lexicon.words("order", "phrase").isdisjoint(middle)  # "tea, coffee and milk"
    if middle == ("with",):
        return not said.isdisjoint(lexicon.stems("order", "together"))
    if behind and not _moves_freely(behind[:1]):
        return False  # "the king met the queen's brother"
    symmetric = lexicon.stems("symmetric")
    return not said.isdisjoint(symmetric) and symmetric.issuperset(frozenset(middle) - _empty())


def _moves_freely(block: tuple[str, ...]) -> bool:
    """Whether a block is a phrase with its preposition, an adverb, a time or a number."""
    if block[0] in lexicon.words("order", "phrase") and len(block) <= _LONGEST_PHRASE:
        return True
    free = lexicon.stems("order", "adverb")
    return all(
        word in free or word.endswith("ly") or word.isdigit() or (len(word) == 1 and word != "i")
        for word in block
    )


def _is_predicate(block: tuple[str, ...], a: Reading, b: Reading) -> bool:
    """Whether a word is an adjective that stands once before its noun, once behind a form of "to be"."""
    if len(block) > 1 or (_BE.isdisjoint(words(a)) and _BE.isdisjoint(words(b))):
        return False
    return block[0].endswith("est") or not (block[0] in _articled(a) and block[0] in _articled(b))


@feature
def _articled(reading: Reading) -> frozenset[str]:
    """The stems behind an article or what stands for one."""
    found = words(reading)
    return frozenset(lexicon.stem(word) for before, word in pairwise(found) if before in _ARTICLES)


@feature
def _cuts(reading: Reading) -> frozenset[int]:
    """How many words of the sequence stand before each comma, full stop and the like."""
    idle, cuts, at = lexicon.words("order", "idle"), set[int](), 0
    for token in reading.tokens:
        if token in _MARKS:
            cuts.add(at)
        at += token[-1].isalnum() and token not in idle
    return frozenset(cuts)


@feature
def _grammar(reading: Reading) -> int:
    """How many words only serve grammar."""
    return len(words(reading)) - len(_sequence(reading)) - sum(word in _ARTICLES for word in words(reading))


def _are_keywords(a: Reading, b: Reading) -> bool:
    """Whether neither text has any grammar: "python reverse list", "reverse list python"."""
    grammar = lexicon.words("function_words", "en")
    return grammar.isdisjoint(words(a)) and grammar.isdisjoint(words(b)) and not _acts(a)


def _acts(reading: Reading) -> bool:
    """Whether a verb stands between two words, as far as its ending tells: "dog bites man"."""
    return any(word.endswith("s") and not word.endswith("ss") for word in words(reading)[1:-1])


@feature
def _sequence(reading: Reading) -> tuple[str, ...]:
    """All words but articles, auxiliaries and question words, without inflection and case of pronouns."""
    idle = lexicon.words("order", "idle")
    return tuple(_canonical(word) for word in words(reading) if word not in idle)


def _canonical(word: str) -> str:
    """The stem, and of a people that of their country: "Chinese" is "China" here."""
    stem = lexicon.stem(_PERSON.get(word, word))
    countries = (thing.name for thing in things_by_stem().get(stem, ()) if thing.kind == _COUNTRIES)
    return min(countries, default=stem)


@feature
def _clauses(reading: Reading) -> tuple[Clause, ...]:
    return tuple(sorted(filter(any, map(_clause, _split(reading)))))


def _split(reading: Reading) -> Iterator[list[str]]:
    """Cut a text into clauses: at conjunctions and full stops, and where a phrase in front ends."""
    idle, clause = lexicon.words("order", "idle"), list[str]()
    joints, phrase = lexicon.words("order", "clause"), lexicon.words("order", "phrase")
    subordinate = False
    for word in reading.tokens:
        if word in joints or word in _STOPS or (subordinate and word == ","):
            yield clause
            clause, subordinate = [], word in joints
        if word in idle or word in _MARKS:
            if clause and clause[0] in phrase and clause[-1] != "":
                clause.append("")  # the end of a phrase in front
        elif word[-1].isalnum():
            clause.append(_canonical(word))
    yield clause


def _clause(clause: list[str]) -> Clause:
    phrase, core, phrases, here = lexicon.words("order", "phrase"), list[str](), list[list[str]](), False
    for before, word in zip(["", *clause], clause, strict=False):
        if not word:
            here = False
        elif word in phrase:
            if here and before in phrase:
                phrases[-1].append(word)
            else:
                phrases.append([word])
            here = True
        elif here:
            phrases[-1].append(word)
        else:
            core.append(word)
    return tuple(core), tuple(sorted(map(tuple, phrases)))


@cache
def _empty() -> frozenset[str]:
    """Function words that may stand between two things without saying which is which."""
    return lexicon.stems("function_words", "en") - lexicon.stems("directions", "strong") | {"to"}
