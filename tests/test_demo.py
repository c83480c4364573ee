"""The demonstration: honest data, and a run that counts what happened."""

from __future__ import annotations

from collections import Counter

import pytest
from click.testing import CliRunner

from semcache_integrations.cli.app import app
from semcache_integrations.demo.run import FRAMEWORKS, run
from semcache_integrations.demo.traffic import answer_of, load_traffic


def test_there_are_at_least_300_real_questions_with_repeats_rewordings_and_neighbours():
    traffic = load_traffic()
    texts, labels = {question.text for question in traffic}, {question.label for question in traffic}
    assert len(traffic) >= 300
    assert len(traffic) - len(texts) > 0.15 * len(traffic)
    assert len(labels) < 0.7 * len(texts)
    assert {question.source for question in traffic} == {"banking77", "slots"}
    assert load_traffic(10) == traffic[:10]


def test_one_text_has_one_label_and_one_label_has_an_answer_of_its_own():
    labels = {}
    for question in load_traffic():
        assert labels.setdefault(question.text, question.label) == question.label
    answers = Counter(answer_of(label) for label in set(labels.values()))
    assert set(answers.values()) == {1}


@pytest.mark.model
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_run_counts_hits_misses_and_wrong_hits(framework, minilm, monkeypatch):
    monkeypatch.setattr("litellm.cache", None)
    ticks = []
    result = run(framework, limit=60, workers=4, latency_s=0.0, progress=lambda: ticks.append(1))
    assert len(result.answers) == len(ticks) == 60
    misses = result.of_tier("miss")
    assert result.upstream_calls == len(misses) == 60 - len(result.hits)
    assert len(result.hits) > 3
    assert all(answer.text == answer_of(answer.question.label) for answer in misses)
    assert len(result.wrong_hits) <= 0.1 * len(result.hits)


@pytest.mark.model
def test_the_command_prints_the_table(minilm, monkeypatch):
    monkeypatch.setattr("litellm.cache", None)
    shown = CliRunner().invoke(app, ["demo", "--limit", "30", "--latency", "0"])
    assert shown.exit_code == 0, shown.output
    for expected in ("LangChain", "LiteLLM", "semantic", "p99", "wrong", "upstream calls saved"):
        assert expected in " ".join(shown.output.split())


def test_a_bad_option_is_named():
    shown = CliRunner().invoke(app, ["demo", "--limit", "0"])
    assert shown.exit_code == 2
    assert "--limit" in shown.output
