"""`Tuning`: what was found on one's own data, for a terminal, a notebook, a program and a configuration file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from semcache_integrations.config import DEFAULT_EMBEDDING_MODEL, ENV_PREFIX
from semcache_integrations.tuning import tables
from semcache_integrations.tuning.curves import Curve, Point, Recommendation, best_of
from semcache_integrations.tuning.data import LabelKind
from semcache_integrations.tuning.evidence import Evidence
from semcache_integrations.tuning.shown import Shown

if TYPE_CHECKING:
    from rich.console import Group

    from semcache_integrations.tuning.plots import Chart

_SHOWN_FROM: Final = 0.88  # where vetoes are shown if nothing is recommended: a usual static threshold


@dataclass(frozen=True, slots=True)
class Tuning:
    """What `tune` found.

    Attributes:
        name: Of the data.
        is_stream: Whether they are a stream of requests, not pairs.
        labels: What said which questions may share an answer.
        embedding_model: Its name as a setting; "" if an object embedded.
        embedder: The vector space's own name: thresholds hold for no other.
        target: Most wrong hits per hit, 0-1.
        evidence: What was counted.
        curves: Without vetoes, and with them.
        recommendations: One for each curve.
    """

    name: str
    is_stream: bool
    labels: LabelKind
    embedding_model: str
    embedder: str
    target: float
    evidence: Evidence
    curves: tuple[Curve, Curve]
    recommendations: tuple[Recommendation, Recommendation]

    @property
    def recommendation(self) -> Recommendation:
        """The better one of the two: certified, with more hits."""
        return best_of(self.recommendations)

    @property
    def threshold(self) -> float | None:
        """The certified threshold; None if the data certify none."""
        return self.recommendation.threshold

    def snippet(self) -> str:
        """Return Python that sets the cache up as recommended, with the environment variables as comments."""
        best = self.recommendation
        head = [f"# {best}"]
        settings: dict[str, object] = {"policy": "static"}
        if best.threshold is None:
            head.append("# Until data certify a threshold: the policy with the fewest wrong hits.")
            settings["policy"] = "strict"
        else:
            settings |= {"similarity_threshold": best.threshold, "vetoes": best.vetoes}
        if self.embedding_model not in ("", DEFAULT_EMBEDDING_MODEL):
            settings["embedding_model"] = self.embedding_model
        arguments = [f"{name}={_literal(value)}" for name, value in settings.items()]
        if not self.embedding_model:
            arguments.append("embedder=embedder")
        names = [f"# {ENV_PREFIX}{name.upper()}={str(value).lower()}" for name, value in settings.items()]
        return "\n".join([*head, f"cache = SemanticCache({', '.join(arguments)})", *names])

    def notes(self) -> list[str]:
        """Return what a reader should know before trusting the numbers."""
        seen, notes = self.evidence, []
        if self.labels == "none":
            notes.append(
                "No labels, so hit rates only: a column class or response would show the wrong hits."
            )
        if self.labels == "answer":
            notes.append(
                "Answers that differ in more than case and punctuation count as different: wrong hits are overstated."
            )
        if seen.repeats and self.is_stream:
            share = f"{seen.repeats:,} requests ({seen.repeats / seen.requests:.0%})"
            notes.append(f"{share} repeat an earlier one to the letter: they hit at any threshold.")
        if seen.blind:
            notes.append(
                f"{seen.blind:,} texts are too long for the encoder, or unknown to it: exact repeats only."
            )
        return notes

    def curve_table(self) -> Shown:
        """Return hits and wrong hits by threshold."""
        seen, plain, vetoed = self.evidence, *self.curves
        what = "requests" if self.is_stream else "pairs"
        reusable = (
            "" if self.labels == "none" else f", {seen.reusable:,} of which could share an earlier answer"
        )
        marked = [each.point.threshold for each in self.recommendations if each.point]
        return tables.by_threshold(
            f"{self.name}: {seen.requests:,} {what}{reusable if self.is_stream else ''}",
            f"in brackets: 95 % interval · cosines of {self.embedder}",
            plain,
            vetoed,
            marked,
            None if self.threshold is None else (self.threshold, self.recommendation.vetoes),
        )

    def veto_table(self, threshold: float | None = None) -> Shown:
        """Return what each veto refuses among neighbours that are similar enough.

        Args:
            threshold: Least cosine; None takes the recommended one, or else 0.88.
        """
        least = self._least(threshold)
        near = tables.at_least(self.evidence.neighbours, least)
        what = "nearest earlier questions" if self.is_stream else "pairs"
        return tables.by_veto(f"The vetoes, on {len(near):,} {what} at {least:.2f} and above", near)

    def tag_table(self, threshold: float | None = None) -> Shown | None:
        """Return what a threshold accepts of each kind of pair, None where the pairs have no tags."""
        least = self._least(threshold)
        return tables.by_tag(f"What {least:.2f} accepts, by tag", self.evidence.neighbours, least)

    def _least(self, threshold: float | None) -> float:
        if threshold is not None:
            return threshold
        point = self.recommendation.point
        return _SHOWN_FROM if point is None else point.threshold

    def plot(self) -> Chart:
        """Return the chart of hit rate against wrong hits per hit.

        Raises:
            ConfigurationError: matplotlib is not installed; it names the extra.
        """
        from semcache_integrations.tuning.plots import plot_tuning

        return plot_tuning(self)

    def to_json(self) -> str:
        """Return everything that was found, as JSON."""
        seen = self.evidence
        found = {
            "name": self.name,
            "kind": "stream" if self.is_stream else "pairs",
            "labels": self.labels,
            "embedder": self.embedder,
            "target": self.target,
            "requests": seen.requests,
            "reusable": seen.reusable,
            "repeats": seen.repeats,
            "blind": seen.blind,
            "curves": [
                {"vetoes": curve.vetoes, "points": [_point(point) for point in curve.points]}
                for curve in self.curves
            ],
            "recommendations": [_recommendation(each) for each in self.recommendations],
            "threshold": self.threshold,
            "vetoes": self.veto_table().to_records(),
            "snippet": self.snippet(),
            "notes": self.notes(),
        }
        return json.dumps(found, indent=2, ensure_ascii=False)

    def _shown(self) -> list[Shown]:
        every = (self.curve_table(), self.veto_table(), self.tag_table())
        return [table for table in every if table is not None]

    def _said(self) -> list[str]:
        best = self.recommendation
        other = [str(each) for each in self.recommendations if each is not best and self.labels != "none"]
        return [str(best), *other, *self.notes()] if self.labels != "none" else self.notes()

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        first, *others = self._said()
        style = "bold yellow" if self.threshold is None else "bold green"
        return Group(*self._shown(), Text(first, style), *map(Text, others))

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(line)}</p>" for line in self._said())
        return "".join(table.to_html() for table in self._shown()) + said


def _literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _point(point: Point) -> dict[str, object]:
    per_hit, per_request = point.wrong_per_hit, point.wrong_per_request
    return {
        "threshold": point.threshold,
        "hit_rate": point.hit_rate.to_dict(),
        "wrong_per_hit": per_hit.to_dict() if per_hit else None,
        "wrong_per_request": per_request.to_dict() if per_request else None,
    }


def _recommendation(each: Recommendation) -> dict[str, object]:
    return {
        "vetoes": each.vetoes,
        "outcome": each.outcome,
        "point": _point(each.point) if each.point else None,
        "hits_needed": each.hits_needed,
        "says": str(each),
    }
