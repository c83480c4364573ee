"""Tuning: files in, curves, recommendations and policies beside each other out."""

from __future__ import annotations

import gzip
import json
import math
from contextlib import suppress

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations import CacheRequest, ConfigurationError, SemanticCache
from semcache_integrations.cli.app import app
from semcache_integrations.core.calibration import parse
from semcache_integrations.core.wilson import Rate, interval, trials_needed
from semcache_integrations.testing import HashingEmbedder
from semcache_integrations.tuning import Pairs, Stream, load_stream, measure_quality, read_data, tune
from semcache_integrations.tuning.calibrate import calibrate
from semcache_integrations.tuning.policies import Contender, static

PAIRS = (
    "a,b,label,tag\nHow tall is K2?,How high is K2?,1,same\nWhere is order 1?,Where is order 2?,0,number\n"
)


def written(tmp_path, name: str, text: str | bytes):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# -- files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", PAIRS),
        ("p.csv", "\ufeff" + PAIRS),
        ("p.csv", PAIRS.replace("a,b,label", "question1,question2,is_duplicate")),
        ("p.csv", PAIRS.replace("a,b,label", "sentence1,sentence2,label")),
        ("p.jsonl", '{"a":"x","b":"y","label":1}\n{"a":"x","b":"z","label":0}\n'),
        ("p.csv.gz", gzip.compress(PAIRS.encode(), mtime=0)),
    ],
    ids=["csv", "bom", "qqp", "sentences", "jsonl", "gzip"],
)
def test_pairs_are_read_in_the_forms_that_people_have_them_in(tmp_path, name, text):
    data = read_data(written(tmp_path, name, text))
    assert isinstance(data, Pairs)
    assert [pair.same for pair in data.rows] == [True, False]


def test_a_request_log_has_the_responses_as_labels(tmp_path):
    log = '{"prompt":"capital?","response":"Paris."}\n{"prompt":"the capital","response":"paris"}\n'
    data = read_data(written(tmp_path, "log.jsonl", log))
    assert isinstance(data, Stream)
    assert data.rows[0].label == data.rows[1].label
    assert data.labels != "none"


def test_plain_lines_are_requests_without_labels(tmp_path):
    data = read_data(written(tmp_path, "q.txt", "one question\nanother question\n"))
    assert (len(data.rows), data.labels) == (2, "none")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "", "empty"),
        ("p.csv", "a,b,label\nx,y,perhaps\n", "p.csv:2"),
        ("p.jsonl", '{"a":"x","b":"y","label":1}\n{"a":"x"\n', "p.jsonl:2"),
        ("p.csv.gz", b"\x1f\x8b broken", "gzip"),
    ],
    ids=["empty", "label", "json", "gzip"],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, name, text, says):
    with pytest.raises(ConfigurationError, match=says):
        read_data(written(tmp_path, name, text))


@given(st.binary(max_size=200), st.sampled_from(["x.csv", "x.jsonl", "x.txt", "x.csv.gz", "x"]))
def test_any_file_is_read_or_refused(tmp_path_factory, content, name):
    path = written(tmp_path_factory.mktemp("fuzz"), name, content)
    with suppress(ConfigurationError):
        assert len(read_data(path).rows) > 0


def test_the_shipped_streams_are_whole_and_their_orders_can_be_repeated():
    assert [len(load_stream(name).rows) for name in ("slot", "banking77", "mixed")] == [3_500, 5_000, 8_500]
    assert load_stream("slot", order=3, limit=9) == load_stream("slot", order=3, limit=9)
    assert load_stream("slot", order=3, limit=9) != load_stream("slot", limit=9)
    with pytest.raises(ConfigurationError, match="banking77"):
        load_stream("bank")


# -- counting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "trials", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)])
def test_intervals_have_their_known_values(count, trials, low, high):
    assert interval(count, trials) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_its_rate(count, more):
    rate = Rate(count, count + more)
    assert 0.0 <= rate.low <= rate.value + 1e-12
    assert rate.value <= rate.high + 1e-12 <= 1.0 + 1e-9
    assert rate.to_dict()["of"] == count + more
    assert bool(str(rate)) == bool(count + more)


def test_more_counts_than_trials_are_no_rate():
    with pytest.raises(ValueError, match="no rate"):
        interval(3, 2)


def test_as_many_trials_as_are_called_for_suffice_and_one_less_does_not():
    needed = trials_needed(0.0, 0.02)
    assert interval(0, needed)[1] <= 0.02 < interval(0, needed - 1)[1]
    assert trials_needed(0.02, 0.02) is None


# -- tuning -----------------------------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path):
    rows = [("same words here", "same words here now", 1)] * 300 + [("where is it", "what was that", 0)] * 300
    lines = [
        json.dumps({"a": f"{a} q{n}", "b": f"{b} q{n}", "label": label})
        for n, (a, b, label) in enumerate(rows)
    ]
    return written(tmp_path, "pairs.jsonl", "\n".join(lines))


def test_enough_data_certify_a_threshold_and_few_do_not(pairs):
    sure = tune(pairs, embedder=HashingEmbedder(), target=0.05)
    unsure = tune(pairs, embedder=HashingEmbedder(), target=0.05, limit=20)
    assert "similarity_threshold=" in sure.snippet()
    assert "too few data" in unsure.snippet()


def test_a_recommended_snippet_can_be_run(pairs):
    snippet = tune(pairs, embedder=HashingEmbedder(), target=0.05).snippet()
    settings = snippet[snippet.index("SemanticCache(") :].splitlines()[0]
    with eval(settings.replace("embedder=embedder", "embedder=HashingEmbedder()")) as cache:
        assert isinstance(cache, SemanticCache)
        assert cache.config.policy_name == "static"


def test_a_result_is_shown_in_terminals_notebooks_and_json(pairs):
    found = tune(pairs, embedder=HashingEmbedder(), target=0.05, limit=50)
    assert json.loads(found.to_json())["target"] == 0.05
    assert "<table" in found._repr_html_()
    assert found.__rich__() is not None


def test_a_chart_is_drawn_and_not_blank(pairs, tmp_path):
    import matplotlib.image

    tune(pairs, embedder=HashingEmbedder(), target=0.05).plot().savefig(tmp_path / "chart.png")
    assert matplotlib.image.imread(tmp_path / "chart.png").std() > 0.01


@pytest.mark.parametrize("target", [0.0, 1.0, math.nan])
def test_a_target_that_is_no_share_is_refused(pairs, target):
    with pytest.raises(ConfigurationError, match="share"):
        tune(pairs, embedder=HashingEmbedder(), target=target)


def test_policies_are_compared_on_the_same_requests():
    loose, tight = static("loose", 0.3), static("tight", 0.9)
    learned = Contender("verified", {"policy": "verified", "delta": 0.05, "vetoes": False})
    told = []
    found = measure_quality(
        "slot",
        limit=120,
        embedder=HashingEmbedder(),
        contenders=(loose, tight, learned),
        progress=lambda *step: told.append(step),
    )
    rows = {row["policy"]: row for row in json.loads(found.to_json())["policies"]}
    assert rows["loose"]["hit_rate"]["count"] > rows["tight"]["hit_rate"]["count"]
    assert rows["loose"]["wrong_per_hit"]["rate"] > rows["tight"]["wrong_per_hit"]["rate"]
    assert rows["verified"]["hit_rate"]["count"] <= rows["loose"]["hit_rate"]["count"]
    assert told[-1][1] == told[-1][2]
    assert "<table" in found._repr_html_()


@pytest.mark.model
def test_the_default_policy_makes_fewer_mistakes_than_the_usual_threshold(minilm):
    usual = static("0.80", 0.80)
    ours = Contender("balanced", {"policy": "balanced"}, ours=True, target=0.02)
    found = measure_quality("mixed", limit=700, contenders=(usual, ours))
    rows = {row["policy"]: row for row in json.loads(found.to_json())["policies"]}
    assert rows["balanced"]["wrong_per_hit"]["rate"] < rows["0.80"]["wrong_per_hit"]["rate"] / 2
    assert rows["balanced"]["hit_rate"]["rate"] > 0.1


# -- calibrating ----------------------------------------------------------------------------------------------


def test_an_embedder_of_ones_own_can_be_calibrated_and_used(tmp_path):
    from semcache_integrations.core.calibration import write

    embedder = HashingEmbedder()
    fitted = calibrate(embedder=embedder, limit=120)
    path = tmp_path / "scores.json"
    path.write_bytes(write(fitted))
    assert parse(path.read_bytes()) == fitted
    with SemanticCache(embedder=embedder, calibration=path) as cache:
        cache.put("how do I reset my password", "so")
        assert cache.explain(CacheRequest("how do I reset my password?")).verdicts[0].score is not None
    with pytest.raises(ConfigurationError, match="semcache tune --fit"):
        SemanticCache(embedder=HashingEmbedder(64), calibration=path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        SemanticCache(embedder=embedder, calibration=tmp_path / "none.json")


def test_a_calibration_that_cannot_work_leaves_no_store_open(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read") as raised:
        SemanticCache(embedder=HashingEmbedder(), path=tmp_path / "cache", calibration=tmp_path / "none.json")
    with SemanticCache(embedder=HashingEmbedder(), path=tmp_path / "cache", policy="static") as cache:
        assert cache.put("question", "answer")
    assert raised  # what the error's traceback holds was still alive when the path was opened again


def test_a_stream_without_labels_cannot_calibrate(tmp_path):
    plain = read_data(written(tmp_path, "q.txt", "one\ntwo\n"))
    with pytest.raises(ConfigurationError, match="no labels"):
        calibrate(plain, embedder=HashingEmbedder(), limit=5)


# -- the command --------------------------------------------------------------------------------------------


def run(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.model
def test_the_command_prints_tables_a_snippet_and_draws(pairs, tmp_path, minilm):
    done = run("tune", pairs, "--limit", 40, "--plot", tmp_path / "c.png")
    assert done.exit_code == 0, done.output
    assert "SemanticCache(" in done.output
    assert (tmp_path / "c.png").stat().st_size > 5_000
    assert json.loads(run("tune", pairs, "--limit", 40, "--json").output)["target"] == 0.02


def test_the_command_says_what_is_missing(tmp_path, pairs):
    assert "name a FILE" in run("tune").output
    assert run("tune").exit_code == 2
    assert run("tune", tmp_path / "none.csv").exit_code == 2
    refused = run("tune", pairs, "--plot", tmp_path / "c.docx")
    assert isinstance(refused.exception, ConfigurationError) or refused.exit_code != 0
    pairs_only = run("tune", pairs, "--fit", tmp_path / "s.json")
    assert pairs_only.exit_code != 0


@pytest.mark.model
def test_the_bench_prints_every_policy(minilm):
    done = run("bench", "quality", "--stream", "slot", "--limit", 60, "--json")
    names = [row["policy"] for row in json.loads(done.output)["policies"]]
    assert {"GPTCache 0.60", "balanced, target 2%", "strict, target 1%"} <= set(names)
    shown = run("bench", "quality", "--stream", "slot", "--limit", 40)
    assert shown.exit_code == 0, shown.output
    assert "balanced" in shown.output
