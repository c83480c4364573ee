"""What one fresh answer teaches about its neighbours, and how that is written: flows, none on the caller's path.

The law: only the standing of an entry changes here, never an answer. A change is made to what the store holds
*now*, so that nothing learned meanwhile is lost; an entry that was overwritten since is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from semcache_integrations.core import answers
from semcache_integrations.core.acceptance import Case, group_of
from semcache_integrations.core.flow import (
    Ask,
    Compare,
    Embed,
    FetchExact,
    FindById,
    FindNearest,
    Flow,
    Rules,
    Touch,
    Write,
    belongs,
    case_of,
    do,
    verified,
)
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import CacheEntry, Standing, Vector, Verdict
from semcache_integrations.core.verified import observed

MOST_GROUPS = 3
"""Answer groups that a fresh answer is compared with: the nearest ones."""

Change: TypeAlias = Callable[[CacheEntry], CacheEntry]


@dataclass(frozen=True, slots=True)
class Amendment:
    """One change to one entry.

    Attributes:
        entry: The entry as it was known.
        change: Makes of the entry as it is now what it shall be.
        vector: Makes the entry findable by similarity from now on.
        just_written: A store that does not show the entry yet has accepted it all the same.
    """

    entry: CacheEntry
    change: Change
    vector: Vector | None = None
    just_written: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one fresh answer taught.

    Attributes:
        joined: Whether a neighbour has the same answer.
        right: Whether the answer that would have been served was right; None if none would have been.
        label: Score of the nearest answer and whether that was right; None where nothing was scored.
        amendments: What is to be written.
    """

    joined: bool
    right: bool | None = None
    label: tuple[float, bool] | None = None
    amendments: tuple[Amendment, ...] = ()


def settle(ask: Ask, entry: CacheEntry, rules: Rules, now: float) -> Flow[Lesson | None]:
    """Compare the answer that was just stored with those of its neighbours.

    Returns:
        What it taught, or None where the encoder is blind.

    Raises:
        BackendError: the embedder, the store or the comparer failed; nothing was learned.
    """
    vector = yield from do(Embed(ask.text))
    if vector is None:
        return None
    found = yield from do(FindNearest(ask.namespace, vector, rules.policy.top_k + 1))
    others = [one for one in found if one.entry.id != entry.id and belongs(one.entry, ask, rules)]
    case = case_of(ask, others[: rules.policy.top_k], rules, now)
    comparisons = _Comparisons(ask, entry)
    if rules.policy.learns == "observations":
        return (yield from _observe(entry, vector, case, comparisons))
    judged = tuple(rules.policy.rule.judge(case))
    right = yield from _checked(ask, judged, rules, comparisons)
    lesson = yield from _grouped(entry, _groups(case, rules.policy.compare_floor), comparisons)
    return replace(lesson, right=right, label=(yield from _labelled(judged, comparisons)))


class _Comparisons:
    """Compares the fresh answer with others, with each of them once."""

    def __init__(self, ask: Ask, entry: CacheEntry) -> None:
        self._request = ask.request
        self._dialect = ask.namespace.dialect
        self._fresh = answers.text_of(self._dialect, entry.payload)
        self._known: dict[str, bool] = {}

    def same(self, other: CacheEntry) -> Flow[bool]:
        """Whether the other answer may stand for the fresh one."""
        if other.id not in self._known:
            cached = answers.text_of(self._dialect, other.payload)
            self._known[other.id] = yield from do(Compare(self._request, self._fresh, cached))
        return self._known[other.id]


def _checked(
    ask: Ask, verdicts: Sequence[Verdict], rules: Rules, comparisons: _Comparisons
) -> Flow[bool | None]:
    """Whether the answer that the policy would have served is right, None if it would have served none.

    A verifier has refused it at the look-up already: it may be an LLM, and is asked again for the brake alone.
    """
    if rules.verifies and not rules.recheck_share:
        return None
    for judged in verdicts:
        verdict = yield from verified(ask, rules, judged)
        if not verdict.refusal:
            return (yield from comparisons.same(verdict.candidate.entry))
    return None


def _labelled(verdicts: Sequence[Verdict], comparisons: _Comparisons) -> Flow[tuple[float, bool] | None]:
    """Return the score of the nearest answer, with whether that was right: mostly one that was compared anyway."""
    for verdict in verdicts:
        if verdict.score is not None:
            return verdict.score, (yield from comparisons.same(verdict.candidate.entry))
    return None


def _groups(case: Case, floor: float) -> dict[str, CacheEntry]:
    """Return the nearest entry of each of the nearest answer groups, nearest first."""
    nearest: dict[str, CacheEntry] = {}
    for candidate in case.candidates:
        if len(nearest) == MOST_GROUPS or candidate.similarity < floor:
            break
        name = group_of(candidate.entry)
        if name not in nearest and not case.unrelated(candidate):
            nearest[name] = candidate.entry
    return nearest


def _grouped(entry: CacheEntry, groups: dict[str, CacheEntry], comparisons: _Comparisons) -> Flow[Lesson]:
    """Join the nearest group whose answer is the same, or open one's own; groups are never merged."""
    for name, member in groups.items():
        if (yield from comparisons.same(member)):
            return Lesson(joined=True, amendments=(_in_group(entry, name),))
    # Alone, it stands for a group of its own already: nothing is worth a write.
    own = (_in_group(entry, group_of(entry)),) if groups else ()
    return Lesson(joined=False, amendments=own)


def _in_group(entry: CacheEntry, name: str) -> Amendment:
    return Amendment(entry, _standing(lambda known: replace(known, group=name)), just_written=True)


def _observe(entry: CacheEntry, vector: Vector, case: Case, comparisons: _Comparisons) -> Flow[Lesson]:
    """Note at the nearest neighbour whether its answer would have been right; if so, it answers for this one, too."""
    nearest = next((one for one in case.candidates if not case.refusal(one)), None)
    findable = Amendment(entry, _as_it_is, vector, just_written=True)
    if nearest is None:
        return Lesson(joined=False, amendments=(findable,))
    same = yield from comparisons.same(nearest.entry)
    noted = Amendment(nearest.entry, observing(nearest.similarity, same=same))
    return Lesson(joined=same, amendments=(noted,) if same else (noted, findable))


def observing(similarity: float, *, same: bool) -> Change:
    """Return the change that notes a comparison of an entry's answer with a fresh one.

    Args:
        similarity: Cosine of the two questions.
        same: Whether the answers said the same.
    """
    return _standing(lambda known: replace(known, seen=observed(known.seen, similarity, same=same)))


def quarantining(*, correct: bool, similarity: float | None = None) -> Change:
    """Return the change that a user's judgement makes: a wrong answer is served to nobody, a right one again.

    Args:
        correct: Whether the answer was right.
        similarity: Cosine of the question that it was served for, to be noted as well; None if it is not known.
    """

    def judged(known: Standing) -> Standing:
        seen = known.seen if similarity is None else observed(known.seen, similarity, same=correct)
        return replace(known, quarantined=not correct, seen=seen)

    return _standing(judged)


def _standing(change: Callable[[Standing], Standing]) -> Change:
    return lambda entry: replace(entry, standing=change(entry.standing))


def _as_it_is(entry: CacheEntry) -> CacheEntry:
    return entry


def amend(amendment: Amendment, keyring: Keyring) -> Flow[bool]:
    """Change an entry as it is in the store now; return whether it was there to be changed.

    Raises:
        StoreError: it could not be read or written.
    """
    known = amendment.entry
    fresh = yield from do(FetchExact(known.namespace, known.id))
    if fresh is None and amendment.just_written:
        fresh = known  # a touch reaches it where a look-up does not yet
    if fresh is None or fresh.created_at != known.created_at or not keyring.genuine(fresh):
        return False
    changed = keyring.seal(amendment.change(fresh))
    if amendment.vector is None:
        yield from do(Touch(changed))
    else:
        yield from do(Write(changed, amendment.vector))
    return True


def appraise(entry_id: str, change: Change, keyring: Keyring, remembered: CacheEntry | None) -> Flow[bool]:
    """Change the entry with this id, whatever its namespace; return whether it was found.

    Args:
        entry_id: Of the entry.
        change: Makes of the entry as it is now what it shall be.
        keyring: Signs it.
        remembered: The entry as memory knew it, for a store that does not show it yet.

    Raises:
        StoreError: it could not be read or written.
    """
    found = yield from do(FindById(entry_id))
    if found is None:
        found = remembered
    if found is None or not keyring.genuine(found):
        return False
    yield from do(Touch(keyring.seal(change(found))))
    return True
