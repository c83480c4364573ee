"""Documentation is true: every Python block in README, docs and docstrings runs, with its own assertions."""

from __future__ import annotations

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

from semcache_integrations.testing import FakeUpstream

SOURCES = ("README.md", "docs", "semcache_integrations")


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream() as running:
        yield running


@pytest.mark.model
@pytest.mark.parametrize("example", find_examples(*SOURCES), ids=str)
def test_the_example_runs(
    example: CodeExample, eval_example: EvalExample, upstream, minilm, monkeypatch, tmp_path
):
    """The provider is a local one; all else is what the reader would run."""
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none-needed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(minilm.folder.parent))
    eval_example.run(example)
