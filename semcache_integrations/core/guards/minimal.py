"""MINIMAL PAIRS: texts that are the same but for one place. What stands there alone makes the difference.

Who rewords a question seldom keeps every other word; who asks the next question does. So one word in another's
place is refused, unless it is known to mean the same ("raise", "increase") or to carry no meaning there ("how do
I", "how can I"); and so is one word more, unless it is an aside.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import NamedTuple

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.likeness import are_forms, are_one_thing, common_start
from semcache_integrations.core.guards.numbers import number_words
from semcache_integrations.core.guards.reading import Reading, feature, sounds_english, words

_WIDEST = 4  # words that may stand in the one place
_FEWEST_SHARED = 3  # words, if one is only added
_MOST_TOPICS = 2  # of them, if they are content words
_IDLE = frozenset(
    {
        "a",
        "an",
        "the",
        "please",
        "pls",
        "plz",
        "kindly",
        "hi",
        "hello",
        "hey",
        "thanks",
        "thank",
        "thx",
        "ty",
        "be",
        "been",
    }
)
_PLAIN = {"does": "do", "has": "have"}
_CONTRACTED = frozenset({"what", "who", "where", "how", "when", "that", "it", "there"})
_OWN = frozenset({"my", "me", "myself", "mine", "own", "our", "us", "ours"})
_MODALITY = "modality"
_INVERTED = frozenset(
    {"can", "may", "could", "might", "must", "do", "does", "did", "should", "shall", "is", "am", "are"}
)
_OWNERS = frozenset({"my", "your", "his", "her", "their", "our"})
_BE = frozenset({"is", "are", "was", "were", "am"})
_DENIALS = frozenset({"not", "never", "cannot"})
_PARTICLES = frozenset({"up", "down", "out", "off", "back", "away"})
_WH = frozenset({"how", "why", "when", "where", "who"})
_WHETHER = frozenset({"should", "must", "will", "did", "could", "was", "were"})


class _Place(NamedTuple):
    """Where two texts differ: what stands before, there in each, and behind."""

    before: tuple[str, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]
    behind: tuple[str, ...]


def differ_by_one_word(a: Reading, b: Reading) -> bool:
    """Whether the texts are the same but for one place, and what stands there in each excludes the other."""
    place = _place(a, b)
    if place is None:
        return False
    if not place.left or not place.right:
        return _denies(place)
    if _contrast(place) or _denies(place):
        return True
    if _asks_otherwise(place.left, place.right) or _asks_otherwise(place.right, place.left):
        return True
    if _replaces_owner(place.left, place.right) or _replaces_owner(place.right, place.left):
        return True
    return _are_topics(place.left, place.right) and not _akin(place.left, place.right)


def differ_by_addition(a: Reading, b: Reading) -> bool:
    """Whether one text is the other with one word more that makes it another's or another kind's.

    "My card" and "my wife's card", "the plan" and "the premium plan", "an author" and "a famous author". Most other
    words that are added only say what was meant anyway.
    """
    place = _place(a, b) if abs(len(_stems(a)) - len(_stems(b))) == 1 else None
    if (
        place is None
        or bool(place.left) == bool(place.right)
        or len(place.before + place.behind) < _FEWEST_SHARED
    ):
        return False
    (added,) = place.left or place.right
    if not place.before or not place.behind or not _is_topic(added) or not _is_topic(place.behind[0]):
        return False
    if added in lexicon.words("asides", "added") or _counts((added,)):
        return False
    if place.before[-1] in _OWNERS or added in lexicon.words("tiers"):
        return True
    return place.before[0] in _BE and _is_predicate(added, a) | _is_predicate(added, b)


def _is_predicate(word: str, reading: Reading) -> bool:
    """Whether the word stands behind "a": "is she a good author"."""
    return (("a", word) in pairwise(words(reading))) or (("an", word) in pairwise(words(reading)))


def _place(a: Reading, b: Reading) -> _Place | None:
    mine, yours = _stems(a), _stems(b)
    if abs(len(mine) - len(yours)) > _WIDEST or not mine or not yours:
        return None
    if mine[0] != yours[0] and mine[-1] != yours[-1]:
        return None
    one, two = _line(a), _line(b)
    front = common_start(mine, yours)
    back = common_start(mine[: front - len(mine) - 1 : -1], yours[: front - len(yours) - 1 : -1])
    left, right = one[front : len(one) - back], two[front : len(two) - back]
    before, behind = one[:front], one[len(one) - back :]
    if max(len(left), len(right)) > _WIDEST or not (left or right) or not _is_enough(before + behind):
        return None
    return _Place(before, left, right, behind) if sounds_english(a) and sounds_english(b) else None


def _is_enough(shared: tuple[str, ...]) -> bool:
    """Whether what two texts have in common makes them a pair: a content word, or two function words."""
    return len(shared) > 1 or any(map(_is_topic, shared))


@feature
def _line(reading: Reading) -> tuple[str, ...]:
    """All words but articles, the politest courtesies and the "is" of "what is", which "what's" has lost."""
    found = words(reading)
    pairs = zip(("", *found), found, strict=False)
    return tuple(
        _PLAIN.get(word, word)
        for before, word in pairs
        if word not in _IDLE and not (word == "is" and before in _CONTRACTED)
    )


@feature
def _stems(reading: Reading) -> tuple[str, ...]:
    return tuple(map(lexicon.stem, _line(reading)))


def _is_topic(word: str) -> bool:
    return word not in lexicon.words("function_words", "en")


def _counts(span: tuple[str, ...]) -> bool:
    """Whether a number is in the span: numbers have a veto of their own, which knows when two are one."""
    return any(word[-1].isdigit() or word in number_words() for word in span)


def _are_topics(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether both spans are a noun or verb, or a compound of two: no numbers, no asides, no function words."""
    both = left + right
    if (
        max(len(left), len(right)) > _MOST_TOPICS
        or not _are_verbs_or_nouns(left)
        or not _are_verbs_or_nouns(right)
    ):
        return False
    if lexicon.words("asides", "added").issuperset(both) or (_counts(left) and _counts(right)):
        return False
    return lexicon.words("asides", "vague").isdisjoint(both)


def _are_verbs_or_nouns(span: tuple[str, ...]) -> bool:
    """Whether a span is content words, the last perhaps a particle: "back up"."""
    return _is_topic(span[0]) and (_is_topic(span[-1]) or span[-1] in _PARTICLES)


def _contrast(place: _Place) -> bool:
    """Whether the two spans hold different values of one scale, such as "all" and "some"."""
    mine, yours = _values(place.left, place.behind), _values(place.right, place.behind)
    differing = {scale for scale in mine.keys() & yours.keys() if mine[scale].isdisjoint(yours[scale])}
    if max(len(place.left), len(place.right)) > _MOST_TOPICS:
        differing &= {_MODALITY}
    return bool(differing - {_MODALITY}) or (bool(differing) and _is_asked(place))


def _values(span: tuple[str, ...], behind: tuple[str, ...]) -> dict[str, set[str]]:
    """On which scales a span is, by itself or with the word behind it, and where."""
    found: dict[str, set[str]] = {}
    for word in (*_with_phrases(span), "_".join((*span[-1:], *behind[:1]))):
        for scale, value in _scales().get(word, ()):
            found.setdefault(scale, set()).add(value)
    return found


def _denies(place: _Place) -> bool:
    """Whether one side says that it is not so, in otherwise the same words: "went through", "did not go through"."""
    if _DENIALS.isdisjoint(place.left) == _DENIALS.isdisjoint(place.right):
        return False
    if len(place.before) == 1 and place.before[0] in _INVERTED:
        return False  # "isn't it safe" asks what "is it safe" does
    left, right = (
        tuple(word for word in side if _is_topic(word) and word not in _DENIALS) for side in place[1:3]
    )
    if not _WH.isdisjoint(place.left + place.right) or len(left) != len(right):
        return False
    return _akin(left, right) if left else bool(place.behind)


def _is_asked(place: _Place) -> bool:
    """Whether "can I" stands against "must I": what "I must", "I need to" say is a wish, and no question."""
    inverted = place.left[0] in _INVERTED and place.right[0] in _INVERTED
    return inverted and (not place.before or place.before[-1] in _WH)


def _replaces_owner(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether somebody else stands where the other text has "my" or "me": "another user's", "for Ann"."""
    if len(left) > 1 or len(right) > _MOST_TOPICS or not _is_topic(right[-1]):
        return False
    if left[0] == "i":
        return right[0] in _OWNERS
    return left[0] in _OWN and lexicon.words("asides").isdisjoint(right)


def _asks_otherwise(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether the left asks how or why, and the right only whether: "how do I", "should I"."""
    return left[0] in _WH and right[0] in _WHETHER and _WH.isdisjoint(right)


def _akin(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether each word of the shorter span has a partner that may stand for it, or the two spans are a phrase."""
    short, long = sorted((left, right), key=len)
    if all(any(_are_akin(one, other) for other in long) for one in short):
        return True
    return any(_are_synonyms("_".join(left), other) for other in ("_".join(right), *right)) or any(
        _are_synonyms("_".join(right), one) for one in left
    )


def _are_akin(one: str, other: str) -> bool:
    return are_forms(one, other) or are_one_thing(one, other) or _are_synonyms(one, other)


def _are_synonyms(one: str, other: str) -> bool:
    groups = _groups()
    nothing: frozenset[int] = frozenset()
    return not groups.get(lexicon.stem(one), nothing).isdisjoint(groups.get(lexicon.stem(other), nothing))


def _with_phrases(span: tuple[str, ...]) -> tuple[str, ...]:
    return (*span, *("_".join(pair) for pair in pairwise(span)))


@cache
def _groups() -> dict[str, frozenset[int]]:
    """The numbers of the groups of synonyms that a stem is in."""
    found: dict[str, frozenset[int]] = {}
    for number, line in enumerate(lexicon.lines("synonyms")):
        for stem in map(lexicon.stem, line.split()):
            found[stem] = found.get(stem, frozenset()) | {number}
    return found


@cache
def _scales() -> dict[str, tuple[tuple[str, str], ...]]:
    """The scales that a function word or phrase is on, each with its value there."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for scale, values in lexicon.named("contrasts").items():
        for value, *others in (entry.split("/") for entry in values):
            for word in (value, *others):
                found[word] = (*found.get(word, ()), (scale, value))
    return found
