"""A chat model with a cache does in each of LangChain's standard tests what it does without one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

SUITES = Path(__file__).with_name("standard_chat.py")
PROJECT = SUITES.parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Run the suites in a process of their own, free of what is set here for pytest, and return what it reports."""
    path = tmp_path_factory.mktemp("standard") / "report.xml"
    settings = ["-p", "no:cacheprovider", "-p", "no:xdist", "--benchmark-disable", f"--junitxml={path}"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "COVERAGE_"))
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", SUITES, "--quiet", *settings],
        cwd=PROJECT,
        env={**environment, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert path.exists(), ran.stdout + ran.stderr
    return ET.parse(path).getroot()


@pytest.fixture(scope="module")
def outcomes(report):
    """What became of each test, by the class that it ran in."""
    by_class = defaultdict(dict)
    for case in report.iter("testcase"):
        by_class[case.get("classname").rsplit(".", 1)[-1]][case.get("name")] = outcome(case)
    return by_class


def outcome(case):
    failed = [part.tag for part in case if part.tag in ("failure", "error")]
    skipped = [part.get("type").removeprefix("pytest.") for part in case.iter("skipped")]
    return (failed + skipped or ["passed"])[0]


@pytest.mark.parametrize(
    ("plain", "cached", "enough"),
    [
        ("TestUnitPlain", "TestUnitCached", 8),
        ("TestPlain", "TestMissing", 30),
        ("TestPlain", "TestHitting", 30),
    ],
)
def test_each_standard_test_ends_with_a_cache_as_it_does_without(outcomes, plain, cached, enough):
    assert outcomes[cached] == outcomes[plain]
    assert Counter(outcomes[cached].values())["passed"] >= enough


def test_the_second_run_was_answered_by_the_cache_alone(report):
    asked = {one.get("name"): int(one.get("value")) for one in report.iter("property")}
    assert asked["TestHitting"] == 0
    assert 0 < asked["TestMissing"] < asked["TestPlain"]
