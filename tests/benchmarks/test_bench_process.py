"""Whole processes: how long an import takes, how much memory a full cache holds."""

from __future__ import annotations

import subprocess
import sys

import pytest
from beside import ours

pytestmark = pytest.mark.bench

FULL = """
import psutil
from semcache_integrations import SemanticCache
cache = SemanticCache(background_writes=False)
cache.get("warm up")
vector = cache._backends.embedder.embed("a question")
cache._backends.embedder.embed = lambda text: vector  # 10,000 embeddings would only take time
for number in range(10_000):
    cache.put(f"question {number}", "x" * 800)
cache.flush()
print(psutil.Process().memory_info().rss)
"""


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.benchmark(group="import semcache_integrations, beside an empty process")
def test_import(benchmark):
    ours(benchmark)
    benchmark.pedantic(python, args=("import semcache_integrations",), rounds=10)


@pytest.mark.benchmark(group="import semcache_integrations, beside an empty process")
def test_nothing(benchmark):
    benchmark.pedantic(python, args=("pass",), rounds=10)


@pytest.mark.model
def test_memory_of_a_full_cache(minilm):
    """Below 250 MB with the int8 model loaded and 10,000 entries stored."""
    resident = int(python(FULL))
    assert resident < 250e6, f"{resident / 1e6:.0f} MB"
