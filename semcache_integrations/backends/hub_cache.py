"""What fastembed knows: the models that it supports, and where in a cache of its own one of them lies.

Reads file names only; never the network. Importing fastembed takes half a second, so nothing here does it
before a cache is there that could hold the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from semcache_integrations.backends.model_files import InstalledModel, ModelManifest
from semcache_integrations.config import fastembed_cache_directory

REPOSITORY_PREFIX: Final = "models--"  # the layout of huggingface_hub's cache
NEEDED: Final = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True, slots=True)
class HubModel:
    """One model that fastembed can download.

    Attributes:
        repository: Where on the hub it lies.
        model_file: Its ONNX graph, by its path in the repository.
        size_gb: Its size in 10^9 bytes, roughly.
    """

    name: str
    repository: str
    model_file: str
    dimension: int
    size_gb: float


def supported_models() -> Mapping[str, HubModel]:
    """Return fastembed's own models by their lower-case name."""
    from fastembed import TextEmbedding

    return {
        known["model"].lower(): HubModel(
            known["model"], known["sources"]["hf"], known["model_file"], known["dim"], known["size_in_GB"]
        )
        for known in TextEmbedding.list_supported_models()
        if known["sources"]["hf"]
    }


def find_in_fastembed_cache(name: str) -> InstalledModel | None:
    """Return a model that fastembed itself downloaded earlier, outside our installer."""
    cache = fastembed_cache_directory()
    if not any(cache.glob(REPOSITORY_PREFIX + "*")):
        return None
    model = supported_models().get(name.lower())
    folder = None if model is None else snapshot(cache, model)
    if model is None or folder is None:
        return None
    try:
        return InstalledModel(describe(model, folder, source=folder.name), folder)
    except (
        OSError,
        ValueError,
    ):  # its tokenizer's configuration is not readable: fastembed could not load it
        return None


def snapshot(cache: Path, model: HubModel) -> Path | None:
    """Return the folder of a complete download of `model` in a cache of fastembed, the newest if several."""
    repository = cache / (REPOSITORY_PREFIX + model.repository.replace("/", "--"))
    folders = [
        folder
        for folder in repository.glob("snapshots/*")
        if all((folder / name).is_file() for name in (model.model_file, *NEEDED))
    ]
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=None)


def describe(model: HubModel, folder: Path, *, source: str) -> ModelManifest:
    """Return the manifest of a downloaded model; `source` identifies its weights.

    Raises:
        OSError: The tokenizer's configuration is not there.
        ValueError: It is not JSON, or names no limit.
    """
    return ModelManifest(model.name, "hub", model.dimension, window(folder), source, files={})


def window(folder: Path) -> int:
    """Return the most tokens that fastembed would read: the stricter of the tokenizer's two limits."""
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    limits = [config.get(key) for key in ("model_max_length", "max_length")]
    return min(limit for limit in limits if isinstance(limit, int) and limit > 0)
