"""Configuration: every mistake is named at construction, with what to do."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from semcache_integrations.config import CacheConfig, load_config
from semcache_integrations.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"similarity_threshold": 1.2}, "similarity_threshold: Input should be less than or equal to 1"),
        ({"similarity_threshold": -0.1}, "greater than or equal to 0"),
        ({"similarity_threshold": "high"}, "valid number"),
        (
            {"similarity_treshold": 0.9},
            "similarity_treshold: no such setting; is similarity_threshold meant?",
        ),
        ({"threshold": 0.9}, "is similarity_threshold meant?"),
        ({"colour": "red"}, "no such setting; there are: .*similarity_threshold"),
        ({"rejection_threshold": 0.5}, "must be at least similarity_threshold"),
        ({"path": "a", "url": "http://b"}, "not both"),
        ({"hash_only": True, "path": "a"}, "drop path=/url="),
        ({"ttl_s": 0}, "ttl_s: Input should be greater than 0"),
        ({"ttl_s": float("inf")}, "finite"),
        ({"ttl_sliding": True}, "give ttl_s as well"),
        ({"max_entries": 0}, "max_entries"),
        ({"top_k": 0}, "top_k"),
        ({"lookup_budget_s": 0}, "lookup_budget_s"),
        ({"collection_prefix": "a/b"}, "collection_prefix"),
        ({"embedding_model": ""}, "embedding_model"),
        ({"collections": "many"}, "'per_model' or 'shared'"),
    ],
    ids=str,
)
def test_a_mistake_is_a_configuration_error_that_says_what_to_do(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        load_config(**settings)


def test_the_error_never_shows_a_secret():
    with pytest.raises(ConfigurationError) as caught:
        load_config(secret="hunter2", similarity_threshold=7)
    assert "hunter2" not in str(caught.value)


def test_a_configuration_is_frozen_and_hides_its_secrets():
    config = CacheConfig(secret="hunter2")
    with pytest.raises(ValidationError):
        config.top_k = 3
    assert "hunter2" not in repr(config)


def test_keywords_beat_the_environment_and_the_environment_beats_defaults(monkeypatch):
    monkeypatch.setenv("SEMCACHE_TOP_K", "7")
    monkeypatch.setenv("SEMCACHE_TTL_S", "60")
    monkeypatch.setenv("SEMCACHE_PATH", "")
    config = load_config(ttl_s=5)
    assert (config.top_k, config.ttl_s, config.path) == (7, 5, None)


def test_a_ready_configuration_is_not_changed_by_the_environment(monkeypatch):
    ready = CacheConfig(top_k=3)
    monkeypatch.setenv("SEMCACHE_TOP_K", "7")
    assert load_config(ready).top_k == 3
    assert load_config(ready, top_k=4).top_k == 4


def test_a_bad_environment_is_named(monkeypatch):
    monkeypatch.setenv("SEMCACHE_TOP_K", "many")
    with pytest.raises(ConfigurationError, match="SEMCACHE_TOP_K: Input should be a valid integer"):
        load_config()
    with pytest.raises(ConfigurationError, match="  top_k: Input should be"):
        load_config(top_k=0)
