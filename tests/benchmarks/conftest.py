"""Benchmarks stand beside the peer that they should beat, in one run; what counts is the ratio."""

from __future__ import annotations

from collections import defaultdict

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print, per group, our median, every peer's, and the ratio of the two."""
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    groups = defaultdict(list)
    for one in session.benchmarks:
        groups[one.group].append(one)
    write = terminalreporter.write_line
    terminalreporter.section("medians and ratios")
    for group, members in groups.items():
        mine = [one for one in members if one.extra_info.get("role") == "ours"]
        peers = [one for one in members if one.extra_info.get("role") != "ours"]
        for one in mine:
            _write_one(write, group, one, peers)


def _write_one(write, group, one, peers) -> None:
    median_us = one.stats.median * 1e6
    budget_us, wanted = one.extra_info["budget_us"], one.extra_info["ratio"]
    verdict = "" if budget_us is None else f"  budget {budget_us:,.0f} µs: {_met(median_us <= budget_us)}"
    write(f"{group}: {median_us:,.1f} µs{verdict}")
    for peer in peers:
        ratio = one.stats.median / peer.stats.median
        against = "" if wanted is None else f"  wanted ≤ {wanted}: {_met(ratio <= wanted)}"
        name = peer.name.removeprefix("test_").replace("_", " ")
        write(f"    {ratio:5.2f} x {name} ({peer.stats.median * 1e6:,.1f} µs){against}")


def _met(reached: bool) -> str:  # noqa: FBT001 - one flag
    return "met" if reached else "NOT met"
