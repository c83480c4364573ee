"""The `litellm` extra alone is enough for cache hits: LiteLLM imports more on a hit than it depends on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
HITS = """
import asyncio, litellm
from semcache_integrations.litellm import LiteLLMSemanticCache

litellm.cache = LiteLLMSemanticCache(hash_only=True)
call = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "api_key": "none"}
litellm.completion(mock_response="one two three", **call)

def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

async def hits():
    stream = await litellm.acompletion(mock_response="one two three", stream=True, **call)
    return await litellm.acompletion(mock_response="one two three", **call), text([chunk async for chunk in stream])

plain = litellm.completion(mock_response="one two three", **call)
streamed = text(litellm.completion(mock_response="one two three", stream=True, **call))
awaited, astreamed = asyncio.run(hits())
assert plain._hidden_params["cache_hit"] and awaited._hidden_params["cache_hit"]
assert streamed == astreamed == "one two three"
assert litellm.cache.engine.stats().tiers["hash"].hits == 4
print("four hits")
"""


@pytest.mark.packaging
def test_hits_work_in_an_environment_with_the_litellm_extra_alone(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", f"{PROJECT}[litellm]"], check=True)
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": ""}
    ran = subprocess.run(
        [python, "-c", HITS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip().endswith("four hits"), ran.stderr
