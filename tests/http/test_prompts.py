"""The question in a body: RFC 9535, the last match, texts only; and a rest that says everything else."""

from __future__ import annotations

import copy
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.keys import canonical_json
from semcache_integrations.http.jsonpath import STEPS, TooManyStepsError, found, parsed
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.prompts import LONGEST_PATH, PromptPath


@pytest.mark.parametrize(
    "path",
    ["", "x", "messages[-1]", " $", "$ ", "$.", "$..", "$[", "$.a[01]", "$.a['b", "$[?1]", "$[?@.a == ]", "$[?foo(@)]",
     "$[?length(@.*) == 1]", "$[?@..a == 1]", "$.a | $.b", "^.a", "$.a[?@.b =~ /x/]", "$['\\uD800']", "$[9007199254740992]",
     "$[?@ > 1e999]", "$" + "[?@" * 200 + "]" * 200, "$.a\r\nb"],
)  # fmt: skip
def test_a_path_that_is_none_is_refused_with_its_header_and_place(path):
    with pytest.raises(
        ProblemError, match=r"x-llm-prompt is no JSONPath \(RFC 9535\): .*at character \d+"
    ) as refused:
        PromptPath(path)
    assert refused.value.status == 400


def test_the_place_of_a_mistake_counts_from_one():
    with pytest.raises(ProblemError, match="at character 12"):
        PromptPath("$.messages[x]")


def test_a_path_may_be_so_long_and_no_longer():
    assert PromptPath("$." + "a" * (LONGEST_PATH - 2)).find({}) is None
    with pytest.raises(ProblemError, match="longer"):
        PromptPath("$." + "a" * (LONGEST_PATH - 1))


def turn(content):
    return {
        "model": "m",
        "messages": [{"role": "user", "content": "earlier"}, {"role": "user", "content": content}],
    }


TEXT, MORE = {"type": "text", "text": "one"}, {"type": "input_text", "text": "two"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
LAST = PromptPath("$.messages[-1].content")


@pytest.mark.parametrize(
    ("content", "text", "only_text"),
    [
        ("hello", "hello", True),
        ("", "", True),
        ([TEXT], "one", True),
        ([TEXT, MORE], "one\ntwo", True),
        ([TEXT, IMAGE], "one", False),
        ([IMAGE, TEXT, MORE], "one\ntwo", False),
        ([TEXT, "loose"], "one", False),
        ([TEXT, {"type": "text", "text": 5}], "one", False),
        ([TEXT, {"type": "tool_result", "content": "42"}], "one", False),
    ],
)
def test_a_text_and_the_texts_of_parts_are_questions(content, text, only_text):
    prompt = LAST.find(turn(content))
    assert prompt is not None
    assert (prompt.text, prompt.only_text) == (text, only_text)


@pytest.mark.parametrize(
    "content", [None, 5, True, 1.5, {}, TEXT, [], [IMAGE], ["loose"], [{"type": "tool_result", "content": "42"}], [None]]
)  # fmt: skip
def test_whatever_has_no_text_is_no_question_and_no_error(content):
    assert LAST.find(turn(content)) is None


@pytest.mark.parametrize(
    "body", [None, 5, "text", [], {}, {"messages": []}, {"messages": {}}, {"messages": [{}]}]
)
def test_a_path_that_finds_nothing_is_no_error(body):
    assert LAST.find(body) is None


def test_the_last_match_wins():
    assert PromptPath("$..content").find(turn("latest")).text == "latest"
    assert (
        PromptPath("$.messages[*].content").find(turn(None)) is None
    )  # the last one, not the last that is a text
    assert PromptPath("$").find("the whole body").text == "the whole body"


HOSTILE = [
    "$..*..*..*..*",
    "$..[*,*,*]..[*,*,*]..[*,*,*]",
    "$..[?$..[?$..*]]",
    "$.messages[?match(@.content,'(a|a)*b')]",
    "$.messages[?match(@.content,'((a*)*)*b')]",
    "$.messages[?search(@.content,'a*a*a*a*a*a*a*a*b')]",
    "$.messages[?search(@.content,'(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)b')]",
    "$.messages[?match(@.content,$.pattern)]",
    "$..[?$.same==$.alike]",
    "$..[?" + "||".join(["$.nowhere"] * 90) + "]",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_refused_after_a_counted_number_of_steps(path):
    turns = [{"role": "user", "content": "a" * 40, "deep": [[[[i]]]]} for i in range(2_000)]
    body = {"messages": turns, "pattern": "(a|aa)+$", "same": "x" * 10**6, "alike": "x" * 999_999 + "x"}
    with pytest.raises(ProblemError, match="too many steps") as refused:
        PromptPath(path).find(body)
    assert refused.value.status == 400


@pytest.mark.parametrize("path", ["$..content", "$.messages[0:9007199254740991:1].content", "$.messages[?@.role=='user'].content",
                                  "$.messages[?match(@.role,'user|tool')].content", "$.messages[?search(@.content,'a+')].content"])  # fmt: skip
def test_an_honest_path_on_a_long_conversation_is_answered(path):
    body = {"messages": [{"role": "user", "content": "a" * 40} for _ in range(2_000)]}
    assert PromptPath(path).find(body).text == "a" * 40


def test_a_deeply_nested_body_is_walked_or_refused_but_never_overflows():
    deep: object = "bottom"
    for _ in range(20_000):
        deep = [deep]
    assert PromptPath("$..[0]").find(deep).text == "bottom"
    assert LAST.find({"messages": [{"content": "q"}], "deep": deep}).text == "q"
    twin: object = "bottom"
    for _ in range(20_000):
        twin = [twin]
    with pytest.raises(TooManyStepsError):
        found(parsed("$[?@ == $.b]"), {"a": deep, "b": twin})


def test_a_body_with_more_values_than_steps_is_refused_only_by_paths_that_look_at_them():
    body = {"messages": [{"content": "q"}], "numbers": list(range(STEPS + 1))}
    assert LAST.find(body).text == "q"
    with pytest.raises(ProblemError, match="too many steps"):
        PromptPath("$..content").find(body)


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
parts = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "input_text", "image"]), "text": st.text("a\n", max_size=4)}
    )
    | leaves,
    max_size=4,
)
names = st.sampled_from(["messages", "content", "a", "type", "text", ""])
bodies = st.recursive(
    leaves | parts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
paths = st.sampled_from(["$", "$..content", "$.messages[-1].content", "$..*", "$..[?@.type]", "$[?@[?@.a == $.a]]", "$..[0:2]", "$.*.*"])  # fmt: skip


def rebuilt(prompt):
    """What the text and the rest say together."""
    hollow, holes = copy.deepcopy(prompt.rest)
    lines = prompt.text.split("\n")
    for number, (location, breaks) in enumerate(holes):
        last = number == len(holes) - 1
        taken, lines = (lines, []) if last else (lines[: breaks + 1], lines[breaks + 1 :])
        if not location:
            return "\n".join(taken)
        place = hollow
        for key in location[:-1]:
            place = place[key]
        assert place[location[-1]] == ""
        place[location[-1]] = "\n".join(taken)
    return hollow


@given(bodies, paths)
def test_text_and_rest_rebuild_the_body_which_nobody_changed(body, path):
    before = copy.deepcopy(body)
    prompt = PromptPath(path).find(body)
    assert body == before
    if prompt is not None:
        assert json.dumps(rebuilt(prompt)) == json.dumps(before)


@given(bodies, bodies, paths)
def test_two_bodies_that_share_text_and_rest_are_one_body(left, right, path):
    first, second = PromptPath(path).find(left), PromptPath(path).find(right)
    if first is not None and first == second:
        assert left == right


@given(st.text(max_size=20) | st.text("$.[]?@*'\"()!=<>|&,:0129-abtruenl \\u", max_size=40), bodies)
def test_no_path_and_no_body_raise_anything_else(path, body):
    with suppress(ProblemError):
        PromptPath("$" + path).find(body)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (turn("q"), {**turn("q"), "temperature": 0.5}),
        (turn("q"), turn([{"type": "text", "text": "q"}])),
        (turn([TEXT, IMAGE]), turn([IMAGE, TEXT])),
        (turn([TEXT]), turn([{**TEXT, "cache_control": {"type": "ephemeral"}}])),
        (turn([{"type": "text", "text": "a\nb"}, TEXT]), turn([{"type": "text", "text": "a"}, {"type": "text", "text": "b\none"}])),
        (turn("q"), {**turn("q"), "messages": [{"role": "user", "content": "other"}, {"role": "user", "content": "q"}]}),
    ],
)  # fmt: skip
def test_a_difference_outside_the_text_is_a_difference_of_rests(one, other):
    assert canonical_json(LAST.find(one).rest) != canonical_json(LAST.find(other).rest)


@pytest.mark.parametrize(("one", "other"), [("q", "r"), ([TEXT], [{**TEXT, "text": "three"}]), ([TEXT, MORE], [{**TEXT, "text": "x"}, MORE])])  # fmt: skip
def test_a_difference_in_the_text_alone_is_none_of_rests(one, other):
    assert canonical_json(LAST.find(turn(one)).rest) == canonical_json(LAST.find(turn(other)).rest)


def test_a_body_cannot_say_that_it_has_a_hole():
    forged, holes = LAST.find(turn("q")).rest
    assert LAST.find(forged).rest == (forged, holes)  # the same rest, and another text
    assert LAST.find([forged, holes]) is None


def test_what_is_not_on_the_way_is_shared():
    body = turn("q")
    hollow, _ = LAST.find(body).rest
    assert hollow["messages"][0] is body["messages"][0]
    assert hollow["messages"][1] is not body["messages"][1]
