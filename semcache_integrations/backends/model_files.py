"""Where installed models live, and when one counts as installed. Neither builds nor loads a model.

One folder per model and variant, with a manifest that is written last. The folder takes its place by one
rename, so a reader sees a whole model or none, and of two installers that race the first one wins.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import quote

from semcache_integrations.config import model_directory
from semcache_integrations.core.errors import ConfigurationError

Variant: TypeAlias = Literal["int8", "fp32", "hub"]
"""Built by us from safetensors, quantised or not; or taken as it is from the model hub."""

VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)
"""In order of preference when no variant is asked for."""

BUILDER_VERSION: Final = 1
"""Raise it when the same weights would be built into another vector space."""

MANIFEST: Final = "manifest.json"
STAGING_PREFIX: Final = ".staging-"
STALE_AFTER_S: Final = 24 * 3600.0
"""Seconds after which a staging folder must belong to an installer that was killed."""

PUBLISH_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What a file of a model must be: its length in bytes and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """What an installed model is.

    Attributes:
        name: The model's name, as `FastEmbedEmbedder` is asked for it.
        dimension: Length of its vectors.
        max_tokens: Its window, special tokens included.
        source_sha256: SHA-256 (or a hub's revision) of the weights that it came from.
        files: Every file of it, by its path in the folder.
        builder: The `BUILDER_VERSION` that built it.
    """

    name: str
    variant: Variant
    dimension: int
    max_tokens: int
    source_sha256: str
    files: Mapping[str, FileStamp]
    builder: int = BUILDER_VERSION

    @property
    def identity(self) -> str:
        """Name of the vector space: int8 and fp32, or two releases of the weights, never share one."""
        build = self.variant if self.variant == "hub" else f"{self.variant}.{self.builder}"
        return f"{self.name}@{build}-{self.source_sha256[:8]}"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model's manifest and the folder that holds its files."""

    manifest: ModelManifest
    folder: Path


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One installed model; `damage` says what is wrong with its files, empty if nothing is."""

    model: InstalledModel
    damage: str


def slot(name: str, variant: Variant) -> Path:
    """Return the folder in which this model is installed, or would be."""
    return model_directory() / f"{quote(name, safe='')}--{variant}"


def find_installed(name: str, variant: Variant | None = None) -> InstalledModel | None:
    """Return the installed model of this name, if all its files are there in full length.

    Args:
        name: The model's name.
        variant: The variant wanted; None takes the first of `VARIANTS` that is there.
    """
    for choice in VARIANTS if variant is None else (variant,):
        model = _read(slot(name, choice))
        if model is not None and model.manifest.name == name and not _wrong_sizes(model):
            return model
    return None


def read_model(folder: Path) -> InstalledModel:
    """Return the model that was installed into `folder`.

    Raises:
        ConfigurationError: There is no complete one.
    """
    model = _read(folder)
    problem = f"no readable {MANIFEST}" if model is None else _wrong_sizes(model)
    if model is None or problem:
        raise ConfigurationError(
            f"{folder} is not an installed model ({problem}); run: semcache model install --source <folder>"
        )
    return model


def status() -> list[ModelStatus]:
    """Return every installed model, its files read and compared with their hashes (0.1 s per 100 MB)."""
    folders = sorted(path.parent for path in model_directory().glob(f"[!.]*/{MANIFEST}"))
    models = [model for model in map(_read, folders) if model is not None]
    return [ModelStatus(model, _wrong_sizes(model) or _wrong_hashes(model)) for model in models]


@contextmanager
def staging() -> Iterator[Path]:
    """Give an empty folder beside the installed models; whatever is left of it goes at the end.

    Raises:
        ConfigurationError: The model directory cannot be written to.
    """
    root = model_directory()
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=root))
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write to {root} ({exc}): set SEMCACHE_MODEL_DIR to a folder that you own"
        ) from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path, manifest: ModelManifest) -> InstalledModel:
    """Write the manifest into a staged folder that is otherwise complete."""
    draft = folder / (MANIFEST + ".tmp")
    draft.write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    draft.replace(folder / MANIFEST)
    return InstalledModel(manifest, folder)


def publish(staged: InstalledModel) -> InstalledModel:
    """Move a sealed model from its staging folder to its place.

    If the same model is there already, whole, that one stays. Anything else is replaced.

    Raises:
        ConfigurationError: The place is taken and cannot be cleared.
    """
    staged.folder.chmod(0o755)  # staging folders are private; an installed model may be shared
    target = slot(staged.manifest.name, staged.manifest.variant)
    for _ in range(PUBLISH_ATTEMPTS):
        present = _read(target)
        if present is not None and present.manifest == staged.manifest and not _wrong_hashes(present):
            return present
        if _swap(staged.folder, target):
            return InstalledModel(staged.manifest, target)
    raise ConfigurationError(
        f"cannot replace {target}: stop the processes that use this model, then try again"
    )


def stamp_files(folder: Path) -> dict[str, FileStamp]:
    """Return the stamp of every file below `folder`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileStamp(path.stat().st_size, sha256_of(path)) for path in paths
    }


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read(folder: Path) -> InstalledModel | None:
    try:
        fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        stamps = {name: FileStamp(**stamp) for name, stamp in fields.pop("files").items()}
        return InstalledModel(ModelManifest(**fields, files=stamps), folder)
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
    ):  # absent, cut short, or of another format
        return None


def _wrong_sizes(model: InstalledModel) -> str:
    for name, stamp in model.manifest.files.items():
        try:
            size = (model.folder / name).stat().st_size
        except OSError:
            return f"{name} is missing"
        if size != stamp.size:
            return f"{name} has {size} bytes instead of {stamp.size}"
    return ""


def _wrong_hashes(model: InstalledModel) -> str:
    try:
        found = stamp_files(model.folder)
    except OSError as exc:
        return f"its files cannot be read: {exc}"
    changed = [name for name, stamp in model.manifest.files.items() if found.get(name) != stamp]
    return f"{changed[0]} was changed after its installation" if changed else ""


def _swap(folder: Path, target: Path) -> bool:
    """Put `folder` in the place of `target`, whose old content goes only then; False if the place is taken."""
    with staging() as grave:
        try:
            if target.exists():
                target.rename(grave / "replaced")
            folder.rename(target)
        except OSError:  # another installer was faster, or Windows keeps a file in use where it is
            return False
    return True


def _sweep(root: Path) -> None:
    for folder in root.glob(STAGING_PREFIX + "*"):
        try:
            abandoned = time.time() - folder.stat().st_mtime > STALE_AFTER_S
        except FileNotFoundError:  # its installer has just finished
            continue
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)
