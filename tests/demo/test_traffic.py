"""The demonstration's traffic is what its README says, and its answers can prove a hit wrong."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from importlib.resources import files

import pytest

from semcache_integrations.demo.traffic import Question, answer_of, load_traffic

QUESTIONS = load_traffic()
LABELS = sorted({question.label for question in QUESTIONS})


def test_there_are_as_many_questions_as_told_and_a_limit_takes_the_first_ones():
    assert len(QUESTIONS) == 600
    assert load_traffic(10) == QUESTIONS[:10]
    assert load_traffic(0) == []
    assert QUESTIONS[0] == Question(QUESTIONS[0].text, QUESTIONS[0].label, QUESTIONS[0].source)


def test_both_sources_take_part_and_the_readme_names_them():
    readme = files("semcache_integrations.demo").joinpath("data/README.md").read_text("utf-8")
    shares = Counter(question.source for question in QUESTIONS)
    assert set(shares) == {"banking77", "slots"}
    assert min(shares.values()) > len(QUESTIONS) * 0.35
    assert all(f"`{source}`" in readme for source in shares)
    assert "CC-BY-4.0" in readme
    assert "PolyAI" in readme


@pytest.mark.parametrize("limit", [400, 600])
def test_a_fifth_to_a_third_are_verbatim_repeats_and_most_others_reword_a_known_class(limit):
    asked = QUESTIONS[:limit]
    texts = {question.text for question in asked}
    labels = {question.label for question in asked}
    assert 0.20 < 1 - len(texts) / limit < 0.33
    assert len(texts) > 2 * len(labels)


def test_few_classes_are_popular_and_many_are_rare():
    counts = sorted(Counter(question.label for question in QUESTIONS).values(), reverse=True)
    assert sum(counts[: len(counts) // 10]) > len(QUESTIONS) / 4
    assert sum(1 for count in counts if count <= 3) > len(counts) / 4


def test_a_text_has_one_label_only():
    """In any spelling: else a hit would be called wrong that is not."""
    labels = defaultdict(set)
    for question in QUESTIONS:
        labels[re.sub(r"\W+", " ", question.text.casefold()).strip()].add(question.label)
    assert [text for text, several in labels.items() if len(several) > 1] == []


def test_many_classes_have_a_near_neighbour_that_needs_another_answer():
    intents = Counter(label.split("|")[0] for label in LABELS if "|" in label)
    assert sum(1 for count in intents.values() if count >= 2) >= 15


def test_every_label_has_an_answer_of_its_own():
    answers = [answer_of(label) for label in LABELS]
    assert len(set(answers)) == len(LABELS)
    assert all(10 < len(answer) < 400 for answer in answers)
    with pytest.raises(KeyError):
        answer_of("no such label")


def test_the_answer_of_a_slot_class_names_its_values():
    """So that the answer for 'back up' is not taken for that of 'restore'."""
    for label in LABELS:
        answer = answer_of(label).casefold()
        for value in label.split("|")[1:]:
            assert all(word in answer for word in value.casefold().split(" to ")), label
