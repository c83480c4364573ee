"""CALIBRATION: the coefficients of the score and its thresholds, per embedder, as `core/data/scores.json` has them.

Every number in that file was fitted by `semcache tune --fit` on data that it names. An embedder that is not in it
has no score: cosines of another model mean something else.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import orjson

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.scoring import FEATURES, logistic, logit, probability

SCHEMA = 1
_SAME_VECTORS = {"hub": "fp32"}  # the hub's export and our own fp32 build differ by less than 2e-7


@dataclass(frozen=True, slots=True)
class Calibration:
    """The score of one embedder.

    Attributes:
        weights: One coefficient per name in `scoring.FEATURES`.
        bias: The intercept.
        thresholds: Pairs of (target: wrong hits per hit, least score that keeps it), both in 0-1, ascending by target.
        trained_on: The data, for people.
    """

    weights: tuple[float, ...]
    bias: float
    thresholds: tuple[tuple[float, float], ...]
    trained_on: str = ""

    def score(self, evidence: Sequence[float]) -> float:
        """Return the probability that the nearest entry's answer is right."""
        return probability(self.weights, self.bias, evidence)

    def threshold(self, target: float) -> float:
        """Return the least score that keeps wrong hits per hit below `target`.

        Between two measured targets it is interpolated (log of the target against logit of the score, a line to
        a good approximation); beyond the measured ones it stays at the nearest, or grows with the odds below them.
        """
        (lowest, strictest), (highest, loosest) = self.thresholds[0], self.thresholds[-1]
        if target >= highest:
            return loosest
        if target <= lowest:  # half the wrong hits need twice the odds
            return logistic(logit(strictest) + math.log(lowest / target))
        at = bisect_left(self.thresholds, (target,))
        (below, high), (above, low) = self.thresholds[at - 1 : at + 1]
        way = math.log(target / below) / math.log(above / below)
        return logistic(logit(high) + way * (logit(low) - logit(high)))


def calibration_for(embedder: str) -> Calibration | None:
    """Return the calibration of an embedder by its name, `model@variant…`, or None if it has none."""
    return _shipped().get(calibration_key(embedder))


def calibration_key(embedder: str) -> str:
    """Return what the embedders of one calibration share: model and variant, without build and weights' digest."""
    model, at, build = embedder.rpartition("@")
    if not at:
        return embedder
    variant = re.match("[a-z0-9]*", build)
    name = variant.group() if variant else ""
    return f"{model}@{_SAME_VECTORS.get(name, name)}"


def write(embedders: Mapping[str, Calibration]) -> bytes:
    """Return the file that `parse` reads: calibrations by `calibration_key`, trained on the same data."""
    data = {
        "schema": SCHEMA,
        "made_by": "semcache tune --fit",
        "trained_on": next(iter(embedders.values())).trained_on,
        "features": FEATURES,
        "embedders": {
            name: {"weights": each.weights, "bias": each.bias, "thresholds": each.thresholds}
            for name, each in embedders.items()
        },
    }
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def parse(written: bytes | str) -> dict[str, Calibration]:
    """Read calibrations by embedder.

    Raises:
        ConfigurationError: it is no such file, or made for other features; `semcache tune --fit` makes a new one.
    """
    try:
        data = orjson.loads(written)
        if data["schema"] != SCHEMA or tuple(data["features"]) != FEATURES:
            raise ConfigurationError(
                "this calibration was made for another version: make it anew with semcache tune --fit"
            )
        return {
            name: _calibration(fitted, str(data["trained_on"])) for name, fitted in data["embedders"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"this is no calibration ({type(error).__name__}): make one with semcache tune --fit"
        ) from None


def _calibration(fitted: Mapping[str, object], trained_on: str) -> Calibration:
    weights = _numbers(fitted["weights"])
    pairs = fitted["thresholds"]
    if not isinstance(pairs, list) or len(weights) != len(FEATURES):
        raise TypeError
    thresholds = sorted((target, score) for target, score in map(_numbers, pairs))
    if not thresholds or not all(0 < target < 1 and 0 < score < 1 for target, score in thresholds):
        raise ValueError
    (bias,) = _numbers([fitted["bias"]])
    return Calibration(weights, bias, tuple(thresholds), trained_on)


def _numbers(values: object) -> tuple[float, ...]:
    if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
        raise TypeError
    return tuple(map(float, values))


@cache
def _shipped() -> dict[str, Calibration]:
    return parse(
        resources.files("semcache_integrations.core").joinpath("data").joinpath("scores.json").read_bytes()
    )
