"""Calibrations: what is shipped, how thresholds follow from targets, and what a broken file says."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.calibration import Calibration, calibration_for, calibration_key, parse, write
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.scoring import FEATURES

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MODEL = Calibration((1.0,) * len(FEATURES), -3.0, ((0.01, 0.98), (0.02, 0.95), (0.05, 0.88)))
GOOD = {
    "schema": 1,
    "features": list(FEATURES),
    "trained_on": "two streams",
    "embedders": {"m@int8": {"weights": [1.0] * len(FEATURES), "bias": -1, "thresholds": [[0.02, 0.9]]}},
}


@pytest.mark.parametrize(
    "embedder", [f"{MINILM}@int8.1-53aa5117", f"{MINILM}@fp32.1-53aa5117", f"{MINILM}@hub-4b1c"]
)
def test_every_build_of_the_default_model_is_calibrated(embedder):
    assert calibration_for(embedder).threshold(0.01) > calibration_for(embedder).threshold(0.05) > 0.5


def test_the_hubs_export_is_the_fp32_build_and_int8_is_not():
    assert calibration_key("hashing-256") == "hashing-256"
    assert calibration_key("m@hub-1.2") == calibration_key("m@fp32.7-abc") != calibration_key("m@int8.7-abc")


@pytest.mark.parametrize("embedder", ["hashing-256", "", "@", f"{MINILM}@q4", "bge-small-en-v1.5@hub-1"])
def test_an_unknown_embedder_has_no_calibration(embedder):
    assert calibration_for(embedder) is None


def test_measured_targets_have_their_measured_thresholds():
    assert [MODEL.threshold(target) for target in (0.01, 0.02, 0.05)] == pytest.approx([0.98, 0.95, 0.88])


def test_between_measured_targets_the_threshold_lies_between():
    assert 0.95 < MODEL.threshold(0.015) < 0.98


def test_beyond_the_loosest_target_nothing_gets_looser_and_below_the_strictest_all_gets_stricter():
    assert MODEL.threshold(0.2) == 0.88
    assert MODEL.threshold(0.005) == pytest.approx(98 / (98 + 1))  # twice the odds of 0.98


@given(st.floats(1e-6, 0.2), st.floats(1e-6, 0.2))
def test_a_smaller_target_never_has_a_lower_threshold(one, other):
    strict, loose = sorted((one, other))
    assert MODEL.threshold(strict) >= MODEL.threshold(loose) - 1e-12


def test_what_is_written_can_be_read():
    both = {"a@int8": MODEL, "b": MODEL}
    assert parse(write(both)) == both


def test_a_good_file_is_read():
    assert parse(orjson.dumps(GOOD))["m@int8"].thresholds == ((0.02, 0.9),)


BROKEN = {
    "other features": {**GOOD, "features": ["similarity"]},
    "other schema": {**GOOD, "schema": 2},
    "no embedders": {key: value for key, value in GOOD.items() if key != "embedders"},
    "a list": [GOOD],
    "weights missing": {
        **GOOD,
        "embedders": {"m": {"weights": [1.0], "bias": 0, "thresholds": [[0.02, 0.9]]}},
    },
    "weights of text": {**GOOD, "embedders": {"m": {"weights": "1", "bias": 0, "thresholds": [[0.02, 0.9]]}}},
    "no thresholds": {**GOOD, "embedders": {"m": {**GOOD["embedders"]["m@int8"], "thresholds": []}}},
    "thresholds of text": {**GOOD, "embedders": {"m": {**GOOD["embedders"]["m@int8"], "thresholds": "0.9"}}},
    "a target of 2": {**GOOD, "embedders": {"m": {**GOOD["embedders"]["m@int8"], "thresholds": [[2, 0.9]]}}},
    "an infinite bias": {**GOOD, "embedders": {"m": {**GOOD["embedders"]["m@int8"], "bias": float("1e999")}}},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_says_how_to_make_a_new_one(broken):
    import json

    with pytest.raises(ConfigurationError, match="semcache tune --fit"):
        parse(json.dumps(broken).replace("Infinity", "1e999"))


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_read_or_refused(written):
    with pytest.raises(ConfigurationError):
        parse(written)
