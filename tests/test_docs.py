"""Documentation is true: every Python block in README, docs and docstrings runs, with its own assertions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.globals import set_llm_cache
from pytest_examples import CodeExample, find_examples

from semcache_integrations import SemanticCache
from semcache_integrations.asgi import ANTHROPIC, OPENAI, Providers, ProxySettings, create_proxy_app
from semcache_integrations.testing import FakeUpstream
from semcache_integrations.testing.serving import Serving

ROOT = Path(__file__).parents[1]
SOURCES = ("README.md", "docs", "semcache_integrations")
SERVED = "http://localhost:8080"
"""Where the reader's own `semcache serve` is; the examples that ask it get one of the test's, on a free port."""


@pytest.fixture(scope="module")
def upstream():
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def served(upstream, minilm, monkeypatch):
    """Base URL of a proxy in front of the upstream, with an empty cache."""
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(minilm.folder.parent))
    providers = Providers(*(replace(provider, base=upstream.origin) for provider in (OPENAI, ANTHROPIC)))
    with SemanticCache() as cache:
        serving = Serving(
            create_proxy_app(cache, ProxySettings(providers=providers)), name="proxy", lifespan="on"
        )
        serving.start()
        yield serving.origin
        serving.close()


@pytest.mark.model
@pytest.mark.parametrize("example", list(find_examples(*SOURCES)), ids=str)
def test_the_example_runs(example: CodeExample, upstream, minilm, monkeypatch, tmp_path, request):
    """The provider is a local one; all else is what the reader would run."""
    for name, base in (("OPENAI", upstream.url), ("ANTHROPIC", upstream.origin)):
        monkeypatch.setenv(f"{name}_BASE_URL", base)
        monkeypatch.setenv(f"{name}_API_KEY", "none-needed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(minilm.folder.parent))
    monkeypatch.setattr("litellm.cache", None)
    source = example.source
    if SERVED in source:
        source = source.replace(SERVED, request.getfixturevalue("served"))
    program = compile("\n" * example.start_line + source, str(example.path), "exec")
    try:
        exec(program, {"__name__": "__main__"})
    finally:
        set_llm_cache(None)


# -- what it says of the files ---------------------------------------------------------------------------

PACKAGE = ROOT / "semcache_integrations"


def owners() -> dict[str, set[Path]]:
    """Return what the table of owners names, and the files of each.

    A name without a folder is in the folder of the name before it.
    """
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## Who owns what")[2]
    cells = re.findall(r"^\| (`.*?`) \|", table.partition("\n## ")[0], re.MULTILINE)
    named = {}
    for cell in cells:
        folder = ""
        for name in re.findall(r"`(.+?)`", cell):
            above, slash, last = name.rstrip("/").rpartition("/")
            folder = above + slash if slash else folder
            found = [*PACKAGE.glob(folder + last)]
            named[folder + last] = {file for one in found for file in (one, *one.rglob("*"))}
    return named


def test_the_architecture_names_an_owner_for_every_module_and_nothing_that_is_not_there():
    named = owners()
    assert [name for name, files in named.items() if not files] == []
    modules = {path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    without = modules - set().union(*named.values())
    assert sorted(path.relative_to(PACKAGE).as_posix() for path in without) == []


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda page: page.name
)
def test_links_lead_somewhere(page):
    for where in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / where).exists(), where
