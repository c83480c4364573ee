"""The shipped streams are what their README says."""

from __future__ import annotations

from importlib.resources import files

import pytest

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.tuning import load_stream


@pytest.mark.parametrize(("name", "requests", "classes"), [("slot", 3_500, 339), ("banking77", 5_000, 77)])
def test_a_stream_has_as_many_requests_and_classes_as_told_and_no_repeats(name, requests, classes):
    rows = load_stream(name).rows
    assert len(rows) == requests == len({row.text for row in rows})
    assert len({row.label for row in rows}) == classes
    readme = files("semcache_integrations.tuning").joinpath("data/README.md").read_text("utf-8")
    assert f"`{name}.jsonl.gz` | {requests:,}, {classes}" in readme


def test_the_attribution_is_beside_the_data():
    readme = files("semcache_integrations.tuning").joinpath("data/README.md").read_text("utf-8")
    for due in ("PolyAI", "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/", "Changes made"):
        assert due in readme


def test_the_mixed_stream_is_both_in_one_order_that_repeats():
    mixed = load_stream("mixed")
    assert sorted(mixed.rows, key=str) == sorted(
        load_stream("slot").rows + load_stream("banking77").rows, key=str
    )
    assert load_stream("mixed") == mixed
    shares = [row.label.startswith("b_") for row in mixed.rows[:1_000]]
    assert 0.5 < sum(shares) / 1_000 < 0.68


def test_an_order_is_a_shuffle_that_repeats_and_a_limit_takes_its_first_ones():
    one, other = load_stream("slot", order=1), load_stream("slot", order=2)
    assert one != other
    assert sorted(one.rows, key=str) == sorted(other.rows, key=str)
    assert load_stream("slot", order=1, limit=10).rows == one.rows[:10]


def test_a_stream_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="there are: slot, banking77, mixed"):
        load_stream("clinc")
