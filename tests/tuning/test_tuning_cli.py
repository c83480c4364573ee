"""`semcache tune` and `semcache bench quality` as their users call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import matplotlib.image
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from semcache_integrations.cli.app import app
from semcache_integrations.tuning import load_stream

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    rows = load_stream("slot", limit=400).rows
    path.write_text("\n".join(json.dumps({"text": row.text, "class": row.label}) for row in rows))
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_it_prints_the_curve_the_vetoes_the_recommendation_and_the_snippet(minilm, log):
    shown = run("tune", log, "--target", 0.05)
    assert shown.exit_code == 0, shown.output
    output = " ".join(shown.stdout.split())
    for expected in (
        "log.jsonl: 400 requests",
        "wrong per hit",
        "number",
        "with vetoes: similarity_threshold=0.",
    ):
        assert expected in output
    snippet = shown.stdout.splitlines()[-4:]
    assert snippet[0].startswith('cache = SemanticCache(policy="static", similarity_threshold=0.')
    assert snippet[0].endswith("vetoes=True)")


def test_json_goes_alone_to_the_standard_output(minilm, log):
    shown = run("tune", log, "--limit", 100, "--json")
    found = json.loads(shown.stdout)
    assert found["requests"] == 100
    assert found["recommendations"][1]["outcome"] in {"too_few", "certified"}


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_chart_is_written(minilm, log, tmp_path, suffix):
    chart = tmp_path / f"chart.{suffix}"
    assert run("tune", log, "--limit", 100, "--plot", chart).exit_code == 0
    assert chart.stat().st_size > 5_000


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("text,class\nhi,\n", (), "semcache: mine.csv:2: class is missing or no name; name the class"),
        ("text,class\nhi,x\n", ("--plot", "chart.doc"), "no chart can be written so; end it in .png"),
        ("text,class\nhi,x\n", ("--plot", "nowhere/chart.png"), "nowhere is no folder"),
        (
            "text,class\nhi,x\n",
            ("--embedding-model", "nobodys/model"),
            "semcache model install nobodys/model",
        ),
        ("text,class\nhi,x\n", ("--target", "2"), "--target"),
    ],
)
def test_what_the_user_can_mend_is_said_without_a_traceback(minilm, tmp_path, content, arguments, message):
    path = tmp_path / "mine.csv"
    path.write_text(content)
    shown = run("tune", path, *arguments)
    assert shown.exit_code == 2
    assert message in " ".join(shown.stderr.split())
    assert "Traceback" not in shown.output


def test_a_file_that_is_not_there_is_named(tmp_path):
    shown = run("tune", tmp_path / "nowhere.csv")
    assert shown.exit_code == 2
    assert "nowhere.csv" in shown.stderr


def test_the_shell_completes_commands_options_and_installed_models(minilm):
    complete = ShellComplete(app, {}, "semcache", "_SEMCACHE_COMPLETE")

    def offers(arguments: list[str], incomplete: str) -> set[str]:
        return {item.value for item in complete.get_completions(arguments, incomplete)}

    assert {"tune", "bench"} <= offers([], "")
    assert offers(["bench"], "") == {"quality"}
    assert "--target" in offers(["tune", "x"], "--t")
    assert offers(["tune", "x", "--embedding-model"], "sent") == {"sentence-transformers/all-MiniLM-L6-v2"}
    assert offers(["tune", "x", "--embedding-model"], "none") == set()
    assert {item.type for item in complete.get_completions(["tune"], "")} == {"file"}


def test_a_process_of_its_own_reads_plain_text(minilm, tmp_path):
    path = tmp_path / "questions.txt"
    path.write_text("How do I reset my password?\nHow can I reset my password?\nWhere is my order?\n")
    environment = os.environ | {"SEMCACHE_MODEL_DIR": str(minilm.folder.parent), "COLUMNS": "80"}
    main = "from semcache_integrations.cli import main; main()"
    shown = subprocess.run(
        [sys.executable, "-c", main, "tune", str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "questions.txt: 3 requests" in shown.stdout
    assert "No labels, so hit rates only" in shown.stdout
    assert "33.3%" in shown.stdout  # one of three is a rewording


def test_the_bench_prints_a_row_for_every_policy_and_writes_its_chart(minilm, tmp_path):
    chart = tmp_path / "chart.png"
    shown = run("bench", "quality", "--stream", "slot", "--limit", 40, "--plot", chart)
    assert shown.exit_code == 0, shown.output
    for name in (
        "GPTCache 0.60",
        "LiteLLM docs 0.80",
        "RedisVL 0.90",
        "OneLLM/Portkey 0.95",
        "static 0.90 + vetoes",
    ):
        assert name in shown.stdout
    assert matplotlib.image.imread(chart).std() > 0.05


def test_the_bench_prints_json(minilm):
    shown = run("bench", "quality", "--stream", "banking77", "--limit", 20, "--orders", 2, "--json")
    found = json.loads(shown.stdout)
    assert {len(policy["orders"]) for policy in found["policies"]} == {2}
    assert run("bench", "quality", "--stream", "clinc").exit_code == 2
