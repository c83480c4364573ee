"""What was counted, as tables: by threshold, by veto, by tag. Computes shares and words, decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from semcache_integrations.core.guards import VETOES
from semcache_integrations.core.policy import EPSILON
from semcache_integrations.tuning.curves import Curve, Point
from semcache_integrations.tuning.evidence import Neighbour
from semcache_integrations.tuning.shown import Shown
from semcache_integrations.tuning.wilson import Rate

ANY: Final = "any of them"

_STEP: Final = 5  # in hundredths: a row every 0.05
_CURVE_COLUMNS: Final = ("threshold", "vetoes", "hits", "wrong per hit", "wrong per request")
_VETO_COLUMNS: Final = ("veto", "refuses other answers", "refuses same answers", "alone in it")
_TAG_COLUMNS: Final = (
    "tag",
    "other answer",
    "accepted",
    "with vetoes",
    "same answer",
    "accepted",
    "with vetoes",
)


def by_threshold(
    title: str,
    caption: str,
    plain: Curve,
    vetoed: Curve,
    marked: Sequence[float],
    best: tuple[float, bool] | None,
) -> Shown:
    """Return hits and wrong hits by threshold, without vetoes and with them.

    Args:
        title: Of the table.
        caption: Under it.
        plain: The curve without vetoes.
        vetoed: The curve with them, over the same thresholds.
        marked: Thresholds that are shown whatever the step.
        best: Threshold and vetoes of the row that stands out.
    """
    rows: list[tuple[str, ...]] = []
    emphasised: set[int] = set()
    for without, with_them in zip(plain.points, vetoed.points, strict=True):
        at = without.threshold
        if at not in marked and round(at * 100) % _STEP:
            continue
        if best == (at, False):
            emphasised.add(len(rows))
        if best == (at, True):
            emphasised.add(len(rows) + 1)
        rows += [(f"{at:.2f}", "", *_cells(without)), ("", "yes", *_cells(with_them))]
    return Shown(title, _CURVE_COLUMNS, rows, caption, frozenset(emphasised))


def by_veto(title: str, near: Sequence[Neighbour]) -> Shown:
    """Return how many neighbours each veto refuses, those with another answer and those with the same.

    "Alone in it" counts the refusals that switching the veto off would undo: other answers / same answers.
    """
    others = [each for each in near if not each.same]
    sames = [each for each in near if each.same]
    labelled = any(each.same is not None for each in near)
    rows = []
    for name in VETOES:
        wrong, right = ([each for each in group if name in each.refusals] for group in (others, sames))
        if wrong or right:
            alone = [sum(len(each.refusals) == 1 for each in group) for group in (wrong, right)]
            rows.append(
                _veto_row(name, (len(wrong), len(others)), (len(right), len(sames)), alone, labelled=labelled)
            )
    wrong, right = ([each for each in group if each.refusals] for group in (others, sames))
    rows.append(_veto_row(ANY, (len(wrong), len(others)), (len(right), len(sames)), (), labelled=labelled))
    if labelled:
        return Shown(title, _VETO_COLUMNS, rows, emphasised=frozenset({len(rows) - 1}))
    return Shown(title, ("veto", "refuses", "alone in it"), rows, emphasised=frozenset({len(rows) - 1}))


def by_tag(title: str, neighbours: Sequence[Neighbour], threshold: float) -> Shown | None:
    """Return what a threshold accepts of each kind of pair, None where the pairs have no tags."""
    tags = dict.fromkeys(each.tag for each in neighbours if each.tag)
    rows = []
    for tag in tags:
        cells = [tag]
        for same in (False, True):
            group = [each for each in neighbours if each.tag == tag and each.same is same]
            passed = at_least(group, threshold)
            cells += [
                f"{len(group):,}",
                _share(len(passed), len(group)),
                _share(sum(not each.refusals for each in passed), len(group)),
            ]
        rows.append(tuple(cells))
    return Shown(title, _TAG_COLUMNS, rows) if rows else None


def at_least(neighbours: Sequence[Neighbour], threshold: float) -> list[Neighbour]:
    """Return the neighbours that are similar enough for a threshold."""
    return [each for each in neighbours if each.similarity + EPSILON >= threshold]


def _cells(point: Point) -> tuple[str, str, str]:
    per_hit, per_request = point.wrong_per_hit, point.wrong_per_request
    return (
        f"{point.hit_rate.value:.1%}",
        "?" if per_hit is None else str(per_hit),
        "?" if per_request is None else str(per_request),
    )


def _veto_row(
    name: str, wrong: tuple[int, int], right: tuple[int, int], alone: Sequence[int], *, labelled: bool
) -> tuple[str, ...]:
    if not labelled:
        return (name, _of(*wrong), f"{alone[0]:,}" if alone else "")
    return (name, _of(*wrong), _of(*right), f"{alone[0]:,} / {alone[1]:,}" if alone else "")


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({_share(count, total)})" if total else "0 of 0"


def _share(count: int, total: int) -> str:
    return f"{Rate(count, total).value:.0%}" if total else ""
