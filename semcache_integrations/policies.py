"""POLICIES: a configuration and an embedder -> the rules by which answers are served. Decides nothing at look-up time."""

from __future__ import annotations

import logging
from pathlib import Path

from semcache_integrations.config import DEFAULT_WRONG_SHARE, CacheConfig, least_similarity
from semcache_integrations.core.acceptance import NEAREST, Rule, Scored, Verified
from semcache_integrations.core.calibration import Calibration, calibration_for, calibration_key, parse
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.guards import ALL as ALL_VETOES
from semcache_integrations.core.models import NEVER
from semcache_integrations.core.policy import Learns, Policy

log = logging.getLogger("semcache_integrations")

UNKNOWN_SIMILARITY = 0.95
"""Least cosine of an embedder that nobody has calibrated: what OneLLM and Portkey ask of every embedder."""


def policy_of(config: CacheConfig, embedder: str) -> Policy:
    """Return the rules that a configuration asks for; tell the user if they know nothing of the embedder.

    Args:
        config: Names the policy.
        embedder: `Embedder.name`: another vector space needs other thresholds.
    """
    rule, least = _rule_of(config, embedder)
    return Policy(
        similarity_threshold=least,
        rejection_threshold=config.rejection_threshold or 0.0,
        top_k=config.top_k,
        vetoes=(ALL_VETOES if config.vetoes else ()) if isinstance(config.vetoes, bool) else config.vetoes,
        ttl_s=config.ttl_s,
        ttl_sliding=config.ttl_sliding,
        ttl_cap_s=NEVER if config.ttl_cap_s is None else config.ttl_cap_s,
        rule=rule,
        learns=_learns(config, rule),
    )


def target_of(config: CacheConfig) -> float:
    """Return the share of the hits that may be wrong, 0-1."""
    own = DEFAULT_WRONG_SHARE / 2 if config.policy_name == "strict" else DEFAULT_WRONG_SHARE
    return config.target_wrong_hits or own


def _rule_of(config: CacheConfig, embedder: str) -> tuple[Rule, float]:
    """Return the rule that the policy stands for, and its least cosine."""
    least = least_similarity(config)
    if config.policy_name == "verified":
        return Verified(config.delta or DEFAULT_WRONG_SHARE), least
    if config.policy_name == "static":
        return NEAREST, least
    calibration = _calibration_of(config, embedder)
    if calibration is None:
        return NEAREST, _unknown(config, embedder, max(UNKNOWN_SIMILARITY, least))
    return Scored(calibration, target_of(config)), least


def _unknown(config: CacheConfig, embedder: str, least: float) -> float:
    """Say that the policy goes by a threshold, and return it."""
    if not config.hash_only:
        log.warning(
            "policy=%r knows nothing of the embedder %s, and goes by similarity_threshold=%.2f; "
            "`semcache tune` finds what suits your questions, `semcache tune --fit` calibrates the embedder",
            config.policy_name,
            embedder,
            least,
        )
    return least


def _calibration_of(config: CacheConfig, embedder: str) -> Calibration | None:
    """Return the embedder's calibration: of the file that is named, else the one that came with the package.

    Raises:
        ConfigurationError: the file cannot be read, or knows nothing of this embedder.
    """
    if config.calibration is None:
        return calibration_for(embedder)
    path = Path(config.calibration).expanduser()
    try:
        known = parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"calibration={str(path)!r} cannot be read: {error.strerror}") from None
    found = known.get(calibration_key(embedder))
    if found is None:
        raise ConfigurationError(
            f"{path.name} calibrates {', '.join(known)}, not {calibration_key(embedder)}: make one with semcache tune --fit"
        )
    return found


def _learns(config: CacheConfig, rule: Rule) -> Learns:
    if isinstance(rule, Verified):
        return "observations"
    return "groups" if isinstance(rule, Scored) or config.recheck_share else "nothing"
