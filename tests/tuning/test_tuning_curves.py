"""What a threshold would have done, computed by hand, by brute force and by the real store; and what follows from it."""

from __future__ import annotations

import io
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.testing import HashingEmbedder
from semcache_integrations.tuning import Pair, Pairs, Request, Stream, load_stream, tune
from semcache_integrations.tuning.curves import Curve, Point, best_of, recommend
from semcache_integrations.tuning.evidence import count_pairs, replay_stream

ANGLES = {
    "Where is order 1?": 0,
    "Where is order 2?": 20,
    "Please tell me where order 1 is": 11,
    "Please tell me where order 2 is": 28,
}
FIRST, SECOND, FIRST_AGAIN, SECOND_AGAIN = ANGLES


def embed(text: str) -> list[float]:
    angle = math.radians(ANGLES[text])
    return [math.cos(angle), math.sin(angle)]


def silent(_stage: str, _done: int, _total: int) -> None:
    return


STREAM = (
    Request(FIRST, "1"),
    Request(SECOND, "2"),
    Request(FIRST_AGAIN, "1"),
    Request(SECOND_AGAIN, "2"),
    Request(FIRST + " ", "1"),
)


def test_a_stream_replayed_by_hand():
    """Cosines: 20 degrees 0.940, 11 degrees 0.982, 9 degrees 0.988, 8 degrees 0.990.

    At 0.93, order 2 is answered with order 1, and so it is not kept; what asks for it at 28 degrees misses. At 0.95
    it is kept, and is the nearest to both of the others: wrongly so for order 1, unless its number is vetoed.
    """
    seen = replay_stream(STREAM, embed, (0.93, 0.95, 0.995), silent)
    assert [(count.hits, count.wrong) for count in seen.plain] == [(3, 1), (3, 1), (1, 0)]
    assert [(count.hits, count.wrong) for count in seen.vetoed] == [(3, 0), (3, 0), (1, 0)]
    assert (seen.requests, seen.reusable, seen.repeats, seen.blind) == (5, 3, 1, 0)
    assert [(each.same, each.refusals) for each in seen.neighbours] == [
        (False, ("number",)),
        (False, ("number",)),
        (True, ()),
        (True, ()),
    ]
    assert seen.neighbours[1].similarity == pytest.approx(math.cos(math.radians(9)), abs=1e-6)


def test_a_look_up_sees_no_more_than_top_k_entries():
    """As the store's answer is cut: a right entry behind `top_k` vetoed ones is not found."""
    assert replay_stream(STREAM[:3], embed, (0.95,), silent, top_k=2).vetoed[0].hits == 1
    assert replay_stream(STREAM[:3], embed, (0.95,), silent, top_k=1).vetoed[0].hits == 0


def test_pairs_counted_by_hand():
    pairs = (
        Pair(FIRST, SECOND, same=False, tag="number"),
        Pair(FIRST, FIRST_AGAIN, same=True, tag="wording"),
        Pair(SECOND, SECOND_AGAIN, same=True, tag="wording"),
        Pair(FIRST, FIRST, same=True),
    )
    seen = count_pairs(pairs, embed, (0.93, 0.95, 0.985, 0.999), silent)
    assert [(count.hits, count.wrong) for count in seen.plain] == [(4, 1), (3, 0), (2, 0), (1, 0)]
    assert [(count.hits, count.wrong) for count in seen.vetoed] == [(3, 0), (3, 0), (2, 0), (1, 0)]
    assert (seen.requests, seen.reusable, seen.repeats) == (4, 3, 1)


def test_texts_to_which_the_encoder_is_blind_hit_as_exact_repeats_only():
    rows = [Request("a", "1"), Request("b", "1"), Request("a", "1")]
    seen = replay_stream(rows, lambda _text: None, (0.6,), silent)
    assert (seen.plain[0].hits, seen.vetoed[0].hits, seen.blind) == (1, 1, 3)


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["red", "blue", "red 1", "red 2", "not red", "blue 1", "is blue red", "is red blue"]),
        st.sampled_from("xyz"),
    ),
    max_size=14,
)


@settings(max_examples=60)
@given(REQUESTS, st.integers(1, 3))
def test_a_replay_is_what_the_plain_algorithm_does(requests, top_k):
    """One threshold at a time, a list for a cache: slow, and plain to see."""
    from semcache_integrations.core.guards import read, vetoes

    embedder = HashingEmbedder(16)
    rows = [Request(*request) for request in requests]
    grid = (0.3, 0.55, 0.8, 1.0)
    seen = replay_stream(rows, embedder.embed, grid, silent, top_k=top_k) if rows else None
    for at, threshold in enumerate(grid if seen else ()):
        for vetoed, counts in ((False, seen.plain), (True, seen.vetoed)):
            kept: list[Request] = []
            hits = wrong = 0
            for row in rows:
                found = [(cosine(embedder, row.text, entry.text), entry) for entry in kept]
                near = sorted(
                    (each for each in found if each[0] + 1e-6 >= threshold), key=lambda each: -each[0]
                )
                passed = [
                    entry
                    for _, entry in near[:top_k]
                    if not (vetoed and vetoes(read(row.text), read(entry.text)))
                ]
                if passed:
                    hits, wrong = hits + 1, wrong + (passed[0].label != row.label)
                else:
                    kept.append(row)
            assert (counts[at].hits, counts[at].wrong) == (hits, wrong)


def cosine(embedder, a: str, b: str) -> float:
    if a == b:
        return 1.0
    both = zip(embedder.embed(a), embedder.embed(b), strict=True)
    return round(sum(x * y for x, y in both), 6)


# -- recommendations ------------------------------------------------------------------------------


def curve(*points: tuple[float, int, int | None], vetoes: bool = True) -> Curve:
    return Curve(vetoes, tuple(Point(threshold, 1_000, hits, wrong) for threshold, hits, wrong in points))


def test_the_lowest_threshold_is_recommended_whose_upper_bound_keeps_the_target():
    """At 0.8 the rate itself keeps 2 %, but its upper bound does not."""
    found = recommend(curve((0.7, 900, 90), (0.8, 600, 9), (0.9, 500, 3), (0.95, 400, 0)), 0.02)
    assert (found.outcome, found.threshold) == ("certified", 0.9)
    assert found.point.wrong_per_hit.high <= 0.02 < Point(0.8, 1_000, 600, 9).wrong_per_hit.high
    assert "at most 1.7% with 95 % confidence (target 2.0%)" in str(found)


def test_too_few_hits_certify_nothing_and_it_says_how_many_would():
    found = recommend(curve((0.8, 80, 10), (0.9, 50, 0), (0.95, 10, 0)), 0.02)
    assert (found.outcome, found.threshold, found.hits_needed) == ("too_few", None, 189)
    assert found.point.threshold == 0.9
    assert "0 of 50 hits are wrong" in str(found)
    assert "about 189 hits" in str(found)


def test_a_hundred_and_eighty_nine_hits_without_a_wrong_one_certify_2_percent_and_one_fewer_do_not():
    assert recommend(curve((0.9, 189, 0)), 0.02).outcome == "certified"
    assert recommend(curve((0.9, 188, 0)), 0.02).outcome == "too_few"


def test_data_that_are_too_wrong_are_not_called_too_few():
    found = recommend(curve((0.8, 500, 90), (0.9, 300, 30)), 0.02)
    assert (found.outcome, found.threshold, found.hits_needed) == ("too_wrong", None, None)
    assert "no threshold keeps 2.0%" in str(found)
    assert "10.0%, at 0.90" in str(found)


def test_without_a_hit_or_without_labels_nothing_is_recommended():
    assert recommend(curve((0.9, 0, 0)), 0.02).outcome == "too_few"
    assert "not one hit" in str(recommend(curve((0.9, 0, 0)), 0.02))
    assert recommend(curve((0.9, 300, None)), 0.02).outcome == "unlabelled"


def test_of_two_certified_ones_more_hits_win_and_a_certified_one_beats_any_other():
    few, many = recommend(curve((0.9, 200, 0)), 0.02), recommend(curve((0.8, 400, 0)), 0.02)
    unsure = recommend(curve((0.9, 100, 0)), 0.02)
    assert best_of((few, many)) is many
    assert best_of((few, unsure)) is few
    assert best_of((unsure, recommend(curve((0.9, 100, 50)), 0.02))) is unsure


# -- the whole of it ------------------------------------------------------------------------------

QUIET = HashingEmbedder()


@pytest.fixture(scope="module")
def tuning():
    return tune(load_stream("slot", limit=1_200), target=0.1, embedder=QUIET)


def test_what_is_recommended_keeps_the_target_on_its_own_data(tuning):
    """The hashing embedder sees words alone, so it takes the vetoes to certify anything."""
    best = tuning.recommendation
    assert best.outcome == "certified"
    assert best.vetoes
    assert best.point.wrong_per_hit.high <= 0.1
    assert tuning.curves[1].points[0].wrong < tuning.curves[0].points[0].wrong


def test_the_snippet_is_python_that_sets_the_cache_up(tuning):
    asked = {}
    exec(tuning.snippet(), {"SemanticCache": lambda **settings: asked.update(settings), "embedder": QUIET})
    assert asked == {
        "policy": "static",
        "similarity_threshold": tuning.threshold,
        "vetoes": True,
        "embedder": QUIET,
    }
    assert f"# SEMCACHE_SIMILARITY_THRESHOLD={tuning.threshold}" in tuning.snippet()
    assert "# SEMCACHE_VETOES=true" in tuning.snippet()


def test_a_snippet_without_a_certified_threshold_names_none():
    snippet = tune(load_stream("slot", limit=30), embedder=QUIET).snippet()
    assert "similarity_threshold" not in snippet.split("cache =")[1]
    assert 'policy="strict"' in snippet


def test_the_veto_table_counts_refusals_by_answer(tuning):
    near = [each for each in tuning.evidence.neighbours if each.similarity + 1e-6 >= 0.8]
    table = tuning.veto_table(0.8)
    rows = {row["veto"]: row for row in table.to_records()}
    wrong = [each for each in near if not each.same]
    by_number = sum("number" in each.refusals for each in wrong)
    assert by_number > 3
    assert rows["number"]["refuses other answers"].startswith(f"{by_number} of {len(wrong)} (")
    assert rows["any of them"]["refuses other answers"].startswith(
        f"{sum(bool(each.refusals) for each in wrong)} of {len(wrong)} ("
    )


def test_json_holds_the_curves_with_both_error_measures(tuning):
    found = json.loads(tuning.to_json())
    assert found["threshold"] == tuning.threshold
    assert [curve["vetoes"] for curve in found["curves"]] == [False, True]
    point = found["curves"][0]["points"][0]
    assert point["wrong_per_hit"]["count"] == point["wrong_per_request"]["count"] > 0
    assert (
        point["wrong_per_hit"]["of"] == point["hit_rate"]["count"] < point["wrong_per_request"]["of"] == 1_200
    )


def test_it_shows_itself_in_a_terminal_and_in_a_notebook(tuning):
    from rich.console import Console

    console = Console(width=80, file=io.StringIO())
    console.print(tuning)
    text = console.file.getvalue()
    for expected in (
        "wrong per hit",
        "wrong per request",
        "any of them",
        f"threshold={tuning.threshold:.2f}",
    ):
        assert expected in " ".join(text.split())
    assert "…" not in text  # nothing is cut off in a narrow terminal
    html = tuning._repr_html_()
    assert html.count("<table>") == 2
    assert str(tuning.recommendation) in html


def test_names_of_tags_and_files_are_no_markup():
    pairs = Pairs("<b>[red]x", tuple(Pair("a b", "a b c", same=True, tag="<i>") for _ in range(3)))
    found = tune(pairs, embedder=QUIET)
    assert "<b>" not in found._repr_html_()
    assert "<i>" not in found._repr_html_()
    assert [row["tag"] for row in found.tag_table(0.6).to_records()] == ["<i>"]


def test_a_stream_without_labels_has_hit_rates_and_says_so():
    unlabelled = Stream("log", tuple(Request(row.text) for row in load_stream("slot", limit=50).rows), "none")
    found = tune(unlabelled, embedder=QUIET)
    assert found.threshold is None
    assert found.recommendation.outcome == "unlabelled"
    assert found.curves[0].points[0].hits > 0
    assert found.curves[0].points[0].wrong_per_hit is None
    assert "No labels" in found.notes()[0]
    assert "?" in found._repr_html_()
    assert json.loads(found.to_json())["curves"][0]["points"][0]["wrong_per_hit"] is None


def test_the_notes_tell_of_repeats_answers_and_blind_texts():
    rows = (Request("a b", "x"), Request("a b", "y"), Request("!?", "z"))
    notes = " ".join(tune(Stream("log", rows, "answer"), embedder=QUIET).notes())
    assert "1 requests (33%) repeat" in notes
    assert "overstated" in notes
    assert "1 texts are too long" in notes


@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_rows_are_too_few_and_no_error(rows):
    found = tune(load_stream("slot", limit=rows), embedder=QUIET)
    assert found.recommendation.outcome == "too_few"
    assert found.snippet()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 0}, "no share of hits"),
        ({"target": 1.5}, "no share of hits"),
        ({"thresholds": ()}, "at least one"),
        ({"thresholds": (0.5, 1.2)}, "cosines above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        tune(load_stream("slot", limit=5), embedder=QUIET, **settings)


def test_progress_tells_stage_and_share():
    told = []
    tune(load_stream("slot", limit=5), embedder=QUIET, progress=lambda *each: told.append(each))
    assert told[0] == ("embedding", 1, 5)
    assert told[-1] == ("replaying", 5, 5)
