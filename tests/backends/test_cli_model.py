"""`semcache model`: installs, shows, and fails in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from semcache_integrations.cli.app import app

MAIN = "from semcache_integrations.cli import main; main()"


def semcache(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments), prog_name="semcache")


def semcache_process(*arguments, code=MAIN):
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_install_then_status(model_home, tiny_bert):
    installed = semcache("model", "install", "--source", str(tiny_bert), "--variant", "fp32", "tiny")
    assert installed.exit_code == 0, installed.output
    assert "tiny@fp32.1-" in installed.output
    (row,) = json.loads(semcache("model", "status", "--json").stdout)
    assert (row["name"], row["variant"], row["dimension"], row["max_tokens"]) == ("tiny", "fp32", 32, 48)
    assert row["damage"] == ""
    table = semcache("model", "status").output
    assert "tiny" in table
    assert "intact" in table


def test_status_shows_damage(model_home, tiny_bert):
    semcache("model", "install", "--source", str(tiny_bert), "tiny")
    (row,) = json.loads(semcache("model", "status", "--json").stdout)
    shutil.copy(tiny_bert / "config.json", row["folder"] + "/model.onnx")
    (row,) = json.loads(semcache("model", "status", "--json").stdout)
    assert row["damage"].startswith("model.onnx has")
    assert "intact" not in semcache("model", "status").output


def test_status_of_nothing_names_the_next_step(model_home):
    assert "semcache model install" in semcache("model", "status").output
    assert semcache("model", "status", "--json").stdout == "[]\n"


def test_a_real_process_installs_and_its_progress_goes_to_stderr(model_home, tiny_bert):
    run = semcache_process("model", "install", "--source", str(tiny_bert), "tiny")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [run.stdout.splitlines()[0], str(model_home / "tiny--int8")]
    assert "Traceback" not in run.stderr


def test_what_the_user_can_mend_is_one_message_and_exit_code_2(model_home, tmp_path):
    run = semcache_process("model", "install", "--source", str(tmp_path), "tiny")
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.strip().startswith("semcache: cannot build a model from")
    assert "Traceback" not in run.stderr


def test_a_wrong_option_is_clicks_own_error(model_home):
    result = semcache("model", "install", "--variant", "int4")
    assert result.exit_code == 2
    assert "int4" in result.output


def test_help_is_light_and_lists_the_commands():
    code = "import sys; from semcache_integrations.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print({'fastembed', 'onnxruntime', 'onnx', 'numpy', 'litellm'} & set(sys.modules))"
    run = semcache_process("--help", code=code)
    assert run.stdout.endswith("set()\n")
    assert "model" in run.stdout
    assert "completion" in run.stdout


def test_version():
    assert semcache("--version").output.startswith("semcache, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell):
    result = semcache("completion", shell)
    assert result.exit_code == 0
    assert "_SEMCACHE_COMPLETE" in result.output


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_libraries_it_names_the_extra(missing):
    run = semcache_process("--help", code=f"import sys; sys.modules[{missing!r}] = None; {MAIN}")
    assert run.returncode == 2
    assert run.stderr == f"semcache needs {missing}: pip install 'semcache-integrations[cli]'\n"
