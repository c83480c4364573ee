"""OpenAI's Embeddings: words hashed into directions, so that texts with words in common are similar."""

from __future__ import annotations

import array
import base64
import hashlib
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

DIMENSION = 256


def body(request: Mapping[str, Any]) -> dict[str, Any]:
    """Embed every input, as floats or as base64 of little-endian float32."""
    given = request.get("input") or ""
    texts = given if isinstance(given, list) else [given]
    encode = _base64 if request.get("encoding_format") == "base64" else list
    dimension = request.get("dimensions") or DIMENSION
    words = sum(len(str(text).split()) for text in texts)
    data = [
        {"object": "embedding", "index": index, "embedding": encode(vector(str(text), dimension))}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": request.get("model", ""), "usage": usage}


def vector(text: str, dimension: int) -> list[float]:
    """Return the unit vector of `text`."""
    counts = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()) or [text]:
        place = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") % dimension
        counts[place] += 1.0
    length = math.sqrt(math.fsum(count * count for count in counts))
    return [count / length for count in counts]


def _base64(floats: list[float]) -> str:
    packed = array.array("f", floats)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
