"""Documentation is true: every Python block in README, docs and docstrings runs, with its own assertions."""

from __future__ import annotations

import pytest
from langchain_core.globals import set_llm_cache
from pytest_examples import CodeExample, find_examples

from semcache_integrations.testing import FakeUpstream

SOURCES = ("README.md", "docs", "semcache_integrations")


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream() as running:
        yield running


@pytest.mark.model
@pytest.mark.parametrize("example", list(find_examples(*SOURCES)), ids=str)
def test_the_example_runs(example: CodeExample, upstream, minilm, monkeypatch, tmp_path):
    """The provider is a local one; all else is what the reader would run."""
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none-needed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(minilm.folder.parent))
    monkeypatch.setattr("litellm.cache", None)
    program = compile("\n" * example.start_line + example.source, str(example.path), "exec")
    try:
        exec(program, {"__name__": "__main__"})
    finally:
        set_llm_cache(None)
