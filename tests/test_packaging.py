"""The package as it is installed: light to import, honest about its extras, complete in its names."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import semcache_integrations

HEAVY = {
    "langchain_core",
    "litellm",
    "httpx",
    "httpx2",
    "qdrant_client",
    "qdrant_edge",
    "fastembed",
    "onnxruntime",
    "numpy",
    "pydantic",
    "click",
    "rich",
    "starlette",
}


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy():
    loaded = json.loads(
        run(
            "import sys, json, semcache_integrations; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
        )
    )
    assert HEAVY.isdisjoint(loaded)


def test_a_hash_only_cache_loads_no_model_and_no_engine():
    code = (
        "import sys, json; from semcache_integrations import SemanticCache\n"
        "cache = SemanticCache(hash_only=True); cache.put('q', 'a'); assert cache.get('q') == 'a'\n"
        "print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    )
    assert (HEAVY - {"pydantic"}).isdisjoint(json.loads(run(code)))


def test_every_public_name_exists_and_the_list_is_sorted():
    names = semcache_integrations.__all__
    assert names == sorted(names)
    assert all(getattr(semcache_integrations, name) is not None for name in names)
    assert set(dir(semcache_integrations)) == set(names)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = semcache_integrations.nothing


def test_the_versions_agree():
    assert semcache_integrations.__version__ == version("semcache-integrations")


EXTRAS = (
    ("langchain", "langchain_core", "langchain"),
    ("litellm", "litellm", "litellm"),
    ("httpx", "httpx", "httpx"),
    ("httpx", "jsonpath_rfc9535", "httpx"),
    ("httpx2", "httpx2", "httpx2"),
    ("httpx2", "httpx_sse", "httpx2"),
    ("asgi", "starlette", "server"),
    ("asgi", "httpcore", "server"),
    ("testing.upstream", "starlette", "server"),
    ("observability.prometheus", "prometheus_client", "metrics"),
    ("observability.otel", "opentelemetry", "otel"),
)


@pytest.mark.parametrize(("module", "package", "extra"), EXTRAS)
def test_a_missing_optional_package_is_named_with_its_extra(module, package, extra):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try:\n    import semcache_integrations.{module}\n"
        "except ImportError as error:\n    print(error)"
    )
    assert f"pip install 'semcache-integrations[{extra}]'" in run(code)


def test_observing_loads_nothing_but_what_it_reports_to():
    loaded = json.loads(
        run(
            "import sys, json, semcache_integrations.observability as seen\n"
            "assert not {'prometheus_client', 'opentelemetry'} & set(sys.modules)\n"
            "assert all((seen.PrometheusMetrics, seen.Prices, seen.Spans))\n"
            "print(json.dumps([m.split('.')[0] for m in sys.modules]))"
        )
    )
    assert (HEAVY - {"pydantic"}).isdisjoint(loaded)


def test_types_are_shipped():
    assert (Path(semcache_integrations.__file__).parent / "py.typed").is_file()
