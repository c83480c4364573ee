"""Prices are stated, or LiteLLM's; what nobody knows is not counted."""

from __future__ import annotations

import subprocess
import sys

import litellm
import pytest
from doubles.observed import asked, head_of, hit, samples, told, watch

from semcache_integrations import ConfigurationError
from semcache_integrations.observability import Prices, PrometheusMetrics

ABSENT = """
import sys
from semcache_integrations.observability import Prices

assert Prices.at_hand().usd("gpt-4o-mini", 1, 1) is None
assert "litellm" not in sys.modules, "nobody asked for LiteLLM"
sys.modules["litellm"] = None
try:
    Prices.of_litellm()
except ImportError as error:
    print(error)
"""


def test_a_stated_price_is_per_million_tokens():
    prices = Prices({"m": (2.0, 10)})
    assert prices.usd("m", 1_000, 100) == pytest.approx(0.003)
    assert prices.of("m") == (2.0, 10)


def test_a_name_that_is_not_listed_is_not_guessed():
    prices = Prices({"gpt-4o": (2.5, 10.0)})
    for near in ("gpt-4o-2024-08-06", "openai/gpt-4o", "GPT-4o", "gpt-4", ""):
        assert prices.usd(near, 1_000, 1_000) is None


def test_what_the_mapping_becomes_later_changes_nothing():
    listed = {"m": (1.0, 1.0)}
    prices = Prices(listed)
    listed.clear()
    assert prices.of("m") == (1.0, 1.0)


@pytest.mark.parametrize(
    "price", [3.0, (1.0,), (1.0, 2.0, 3.0), (1.0, -2.0), (float("nan"), 1.0), ("1", "2"), (None, 1.0), "ab"]
)
def test_a_price_that_is_none_is_refused_with_its_model(price):
    with pytest.raises(ConfigurationError, match="the price of my-model"):
        PrometheusMetrics(prices={"my-model": price})


def test_litellms_list_is_per_token_and_read_as_it_is_now(monkeypatch):
    prices = Prices.of_litellm()
    listed = litellm.model_cost["gpt-4o-mini"]
    usd = prices.usd("gpt-4o-mini", 7, 9)
    assert usd == pytest.approx(7 * listed["input_cost_per_token"] + 9 * listed["output_cost_per_token"])
    monkeypatch.setitem(
        litellm.model_cost, "new", {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    )
    assert prices.usd("new", 1_000_000, 1_000_000) == pytest.approx(3.0)


@pytest.mark.parametrize(
    "listed",
    [
        None,
        {},
        {"input_cost_per_token": 1e-6},
        {"input_cost_per_token": 1e-6, "output_cost_per_token": None},
        {"input_cost_per_token": "1e-6", "output_cost_per_token": "1e-6"},
    ],
)
def test_half_a_price_of_litellms_is_none(monkeypatch, listed):
    monkeypatch.setitem(litellm.model_cost, "half", listed)
    assert Prices.of_litellm().usd("half", 1, 1) is None


async def test_without_prices_litellms_list_is_taken_once_it_is_imported(monkeypatch):
    metrics = PrometheusMetrics()
    monkeypatch.setitem(
        litellm.model_cost, "listed", {"input_cost_per_token": 1.0, "output_cost_per_token": 0.5}
    )
    await told(watch(metrics.happening), head_of(hit(usage=(2, 4))), asked("listed"))
    assert samples(metrics)["semcache_saved_usd_total", "model=listed"] == 4.0


def test_without_litellm_nothing_is_known_and_asking_for_it_names_the_extra():
    ran = subprocess.run(
        [sys.executable, "-c", ABSENT], capture_output=True, text=True, check=False, timeout=60
    )
    assert (
        ran.stdout.strip() == "LiteLLM's prices need litellm: pip install 'semcache-integrations[litellm]'"
    ), ran.stderr
