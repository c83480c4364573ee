"""Server-sent events: WHATWG's rules of reading, and a frame that every reader reads as it was written."""

from __future__ import annotations

import contextlib
import json

import pytest
from doubles.wire_bodies import COMPLETION, MESSAGE, RESPONSE, replays, said, texts
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.wire import anthropic, openai_chat
from semcache_integrations.wire import responses as openai
from semcache_integrations.wire.sse import DONE, decoded, encoded

FIRST, SECOND = {"type": "a", "text": "x"}, {"type": "b"}
TWO = 'event: a\ndata: {"type":"a","text":"x"}\n\nevent: b\ndata: {"type":"b"}\n\n'
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
typed = st.builds(
    lambda name, rest: {**rest, "type": name}, said.filter(str.isprintable), st.dictionaries(texts, jsons)
)
untyped = st.dictionaries(texts.filter("type".__ne__), jsons)


def cut(data, at):
    """Cut at each of these places."""
    places = sorted({place % (len(data) + 1) for place in at})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def test_a_frame_is_what_the_providers_send():
    assert encoded(FIRST) + encoded(SECOND) == TWO.encode()
    assert encoded({"id": "a", "x": "\n"}) + DONE == b'data: {"id":"a","x":"\\n"}\n\ndata: [DONE]\n\n'


@given(told=st.lists(typed | untyped, max_size=4), at=st.lists(st.integers(0, 999), max_size=5))
def test_what_is_written_is_read_however_it_is_cut(told, at):
    written = b"".join(map(encoded, told))
    assert list(decoded(cut(written, at))) == told


@given(replay=replays, at=st.lists(st.integers(0, 99_999), max_size=5))
def test_the_events_of_all_formats_travel(replay, at):
    for made, told in ((anthropic, MESSAGE), (openai, RESPONSE)):
        written = b"".join(map(encoded, made.events(told, replay)))
        assert made.assembled(decoded(cut(written, at))) == told
    written = b"".join(map(encoded, openai_chat.events(COMPLETION, replay, usage=True))) + DONE
    assert openai_chat.assembled(decoded(cut(written, at))) == COMPLETION


@given(
    at=st.lists(st.integers(0, 999), max_size=5),
    end=st.sampled_from(["\n", "\r", "\r\n"]),
    mark=st.booleans(),
)
def test_lines_end_as_the_standard_allows_and_a_byte_order_mark_is_dropped(at, end, mark):
    body = ("\ufeff" if mark else "") + TWO.replace("\n", end)
    assert list(decoded(body)) == [FIRST, SECOND]
    assert list(decoded(cut(body, at))) == [FIRST, SECOND]
    assert list(decoded(body.encode())) == [FIRST, SECOND]
    assert list(decoded(cut(body.encode(), at))) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(': hello\n:\ndata: {"type":"b"}\n: bye\n\n:\n\n', id="comments"),
        pytest.param('data: {"type":\ndata: "b"}\n\n', id="data of two lines"),
        pytest.param('data:{"type":"b"}\n\n', id="no blank after the colon"),
        pytest.param('data:  {"type":"b"}\n\n', id="one blank of two is the data's"),
        pytest.param('id: 1\nretry: 5\nnew: x\ndata: {"type":"b"}\nevent\n\n', id="other fields"),
        pytest.param(
            'id: 1\n\nevent: a\n\ndata\n\ndata:\n\ndata: {"type":"b"}\n\n', id="events without data"
        ),
        pytest.param('\n\r\n\rdata: {"type":"b"}\r\n\n', id="mixed line ends"),
        pytest.param('data: {"type":"b"}\n\ndata: {"type":"c"}\n', id="an event cut by the end"),
        pytest.param('data: {"type":"b"}\n\ndata: {"ty', id="a line cut by the end"),
        pytest.param('data: {"type":"b"}\n\ndata: [DONE]\n\ndata: {"type":"c"}\n\n', id="done"),
    ],
)
def test_an_event_is_what_the_standard_says(body):
    assert list(decoded(body)) == [SECOND]


def test_marks_that_end_a_line_elsewhere_end_none_here():
    told = {"type": "a", "text": "\u2028\u2029\x85\x0b\x0c"}
    assert list(decoded(f"data: {json.dumps(told, ensure_ascii=False)}\n\n".encode())) == [told]
    assert list(decoded(encoded(told))) == [told]


def test_events_come_as_soon_as_their_bytes_do():
    def arriving():
        yield encoded(FIRST)
        raise AssertionError("asked for more than the first event needs")

    assert next(decoded(arriving())) == FIRST


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"data: {\n\n", "not JSON"),
        (b"data: x\n\n", "not JSON"),
        (b"data: 1\n\n", "a JSON object"),
        (b"data: [1]\n\n", "a JSON object"),
        (b'data: {"a": "\xff"}\n\n', "utf-8"),
        (b'data: {"a": "\xe4', "utf-8"),
        ("data: \ud800\n\n", "utf-8"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(body, why):
    with pytest.raises(ValueError, match=why):
        list(decoded(body))


@given(
    st.binary()
    | st.text()
    | st.lists(st.binary() | st.text())
    | st.lists(st.sampled_from([b"data: ", b"\n", b"{}", b"\r", b"1"]))
)
def test_no_bytes_whatever_raise_anything_else(data):
    with contextlib.suppress(ValueError):
        assert all(isinstance(event, dict) for event in decoded(data))


@pytest.mark.parametrize("name", [None, 1, "", "a\nb", "a\rdata: x"])
def test_a_name_that_would_break_the_frame_is_a_value_error(name):
    with pytest.raises(ValueError, match="on one line"):
        encoded({"type": name})


def test_what_orjson_cannot_write_is_written_still():
    assert json.loads(encoded({"type": "a", "n": 10**30}).split(b"data: ")[1])["n"] == 10**30
    halves = {"type": "a", "text": "\ud83d\ude00"}  # an emoji, as careless JSON readers leave it
    assert list(decoded(encoded(halves))) == [{"type": "a", "text": "\U0001f600"}]
