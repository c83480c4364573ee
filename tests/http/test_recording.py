"""What passes, collected: however it is cut, when it is whole, and what is never kept."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from doubles.http_questions import WHOLE, events
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.http.answers import pack, present, tokens
from semcache_integrations.http.calls import Asked, Head, Wishes, fields
from semcache_integrations.http.recording import IN_PROCESS, LARGEST_ANSWER, Recorder, acceptable

JSON, EVENTS = "application/json", "text/event-stream; charset=utf-8"
STREAM = [*events({"role": "assistant", "content": "Pa"}, {"content": "ris [DONE]"}), b"data: [DONE]\n\n"]
PLAIN = json.dumps(WHOLE).encode()


def asked(dialect="chat", **how):
    return Asked(CacheRequest("q", "m"), dialect, **how)


def head(kind=JSON, status=200, extensions=None, **said):
    headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in said.items()}}
    return Head(status, fields(headers), extensions or {})


def recorded(pieces, begun=None, **how):
    """Return the payload, and how many pieces had come when it was known."""
    recorder = Recorder(asked(**how), begun or head())
    for count, piece in enumerate(pieces, 1):
        payload = recorder.takes(piece)
        if payload is not None:
            assert recorder.ends() is None
            return payload, count
    return recorder.ends(), None


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


places = st.lists(st.integers(0, 5_000), max_size=9)


@given(places, st.booleans(), st.booleans())
def test_however_an_answer_is_cut_and_packed_it_is_the_same(places, streamed, zipped):
    body = b"".join(STREAM) if streamed else PLAIN
    begun = head(EVENTS if streamed else JSON, **({"content_encoding": "gzip"} if zipped else {}))
    payload, _ = recorded(cut(gzip.compress(body) if zipped else body, places), begun)
    assert payload == pack("chat", EVENTS if streamed else JSON, body)
    assert json.loads(payload)["body"]["choices"][0]["finish_reason"] == "stop"


@given(places, st.integers(0, len(b"".join(STREAM)) - 3))
def test_a_stream_that_is_cut_short_is_never_kept(places, length):
    body = b"".join(STREAM)[:length]
    assert recorded(cut(body, places), head(EVENTS))[0] is None


def test_a_stream_is_known_to_be_whole_with_its_last_event_and_plain_ones_with_their_length():
    assert recorded(STREAM, head(EVENTS))[1] == len(STREAM)
    assert recorded([PLAIN[:9], PLAIN[9:]], head(content_length=str(len(PLAIN))))[1] == 2
    assert recorded([PLAIN[:9], PLAIN[9:]])[1] is None


def test_a_text_that_quotes_the_end_once_is_looked_at_once():
    said = list(events({"content": "[DONE]"}, *({"content": "more"} for _ in range(40))))
    assert recorded([*said, b"data: [DONE]\n\n"], head(EVENTS))[1] == len(said) + 1


@pytest.mark.parametrize("dialect", ["chat", "generic"])
def test_json_is_not_whole_because_of_a_blank_line(dialect):
    assert recorded([PLAIN + b"\n\n", b"and more"], dialect=dialect)[0] is None


def test_what_an_upstream_says_of_one_call_is_kept_with_no_answer_but_of_an_application():
    said = {"x_account": "1", "x_request_id": "2"}
    for extensions, kept in (({}, {}), ({IN_PROCESS: True}, {"x-account": "1"})):
        payload, _ = recorded([b'{"a": 1}'], head(extensions=extensions, **said), dialect="generic")
        assert json.loads(payload)["body"]["headers"] == kept


def test_a_text_may_quote_what_ends_a_stream_more_often_than_anybody_looks():
    quoting = list(events(*({"content": "data: [DONE]\n\n"} for _ in range(40))))
    payload, count = recorded([*quoting, b"data: [DONE]\n\n"], head(EVENTS))
    assert count is None  # it is found at the end of the connection
    assert json.loads(payload)["body"]["choices"][0]["message"]["content"].count("[DONE]") == 40


@pytest.mark.parametrize(
    ("begun", "body"),
    [
        (head(status=500), PLAIN),
        (head(status=301), PLAIN),
        (head("text/plain"), PLAIN),
        (head(cache_control="public, No-Store"), PLAIN),
        (head(content_encoding="br"), PLAIN),
        (head(content_encoding="gzip"), PLAIN),
        (head(content_encoding="gzip, gzip"), gzip.compress(gzip.compress(PLAIN))),
        (head(), PLAIN[:-1]),
        (head(), b""),
        (head(), json.dumps({**WHOLE, "choices": []}).encode()),
        (head(), b"null"),
        (head(), b"[1]"),
        (head(), b'"x"'),
        (head(), b"[" * 9_999),
        (head(EVENTS), PLAIN),
        (head(EVENTS), b"".join(STREAM[:-1])),
        (head(EVENTS), b"".join([*STREAM[:1], b'data: {"error": {}}\n\n', *STREAM[1:]])),
    ],
)
def test_what_is_not_known_to_be_whole_or_may_not_be_kept_is_not(begun, body):
    assert recorded([body], begun)[0] is None


def test_who_wants_nothing_kept_gets_nothing_kept():
    assert recorded([PLAIN], wishes=Wishes(keeps=False))[0] is None


def test_an_answer_beyond_the_limit_is_let_go_and_a_bomb_is_not_unpacked():
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(b'{"a": "' + b"x" * (4 * LARGEST_ANSWER)) + packer.flush()
    recorder = Recorder(asked(), head(content_encoding="gzip"))
    tracemalloc.start()
    assert recorder.takes(bomb) is None
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * LARGEST_ANSWER
    assert recorder.ends() is None
    assert len(recorder._body) == 0


@pytest.mark.parametrize("together", [True, False])
def test_an_answer_of_several_gzip_members_is_not_kept_by_half(together):
    members = [gzip.compress(PLAIN), gzip.compress(b" ")]
    pieces = [b"".join(members)] if together else members
    assert recorded(pieces, head(content_encoding="gzip"))[0] is None


def test_a_text_of_a_told_length_is_all_there_with_its_last_byte():
    begun = head("text/plain", extensions={IN_PROCESS: True}, content_length="4")
    payload, count = recorded([b"Pa", b"ri"], begun, dialect="generic")
    assert (json.loads(payload)["body"]["text"], count) == ("Pari", 2)


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("gzip, deflate, br, zstd", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("*", "gzip"),
        ("br", "identity"),
        ("", "identity"),
    ],
)
def test_only_what_can_be_read_is_asked_for(said, sent):
    assert acceptable(said) == sent


# -- answers of which only the type is known -----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "in_process", "kept"),
    [
        (JSON, b'{"a": 1}', False, True),
        (JSON, b"[1]", False, True),
        (JSON, b'{"error": "no"}', True, False),
        (JSON, b"{}", True, False),
        (JSON, b'{"a":', True, False),
        ("text/plain", b"a", True, True),
        ("text/plain", b"a", False, False),  # a connection that ends says nothing
        ("text/plain", b" ", True, False),
        (EVENTS, b"data: 1\n\n", True, True),
        ("image/png", b"a", True, False),
        ("text/plain", b"\xff", True, False),
    ],
)
def test_answers_of_unknown_apis_are_kept_as_they_stand_if_they_are_known_to_be_all(
    kind, body, in_process, kept
):
    begun = head(kind, extensions={IN_PROCESS: in_process, "http_version": b"HTTP/1.1"})
    payload, _ = recorded([body], begun, dialect="generic")
    assert (payload is not None) == kept
    if kept:
        served = present(payload, asked("generic"), Replay())
        pieces = served.body if not isinstance(served.body, bytes) else [served.body]
        assert (served.content_type, b"".join(pieces)) == (kind, body)


@pytest.mark.parametrize("said", [{"set_cookie": "a=b"}, {"cache_control": "private"}])
def test_what_is_one_callers_is_not_kept_of_an_unknown_api(said):
    assert recorded([b'{"a": 1}'], head(**said), dialect="generic")[0] is None
    assert recorded([PLAIN], head(**said))[0] is not None  # providers set cookies for their own network


# -- payloads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{",
        "[]",
        json.dumps({"v": 2, "body": WHOLE}),
        json.dumps({"body": WHOLE}),
        '{"v": 1, "body": []}',
        '{"v": 1}',
        "1",
    ],
)
def test_an_unreadable_payload_is_a_miss(payload):
    assert present(payload, asked(), Replay()) is None
    assert tokens(payload) == (0, 0)


def test_a_chat_whose_tokens_nobody_counted_is_only_for_who_does_not_ask_for_them():
    untold = pack("chat", EVENTS, b"".join(STREAM))
    for payload, wanted, served in (
        (untold, {}, False),
        (untold, {"stream": True}, True),
        (untold, {"stream": True, "usage": True}, False),
        (pack("chat", JSON, PLAIN), {}, True),
        (pack("chat", JSON, PLAIN), {"stream": True, "usage": True}, True),
    ):
        assert (present(payload, asked(**wanted), Replay()) is not None) is served


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_tells_its_tokens_to_who_asks_for_them(usage):
    served = present(pack("chat", JSON, PLAIN), asked(stream=True, usage=usage), Replay())
    assert (b'"total_tokens"' in b"".join(served.body)) is usage


def test_the_tokens_of_all_three_apis_are_read():
    assert tokens(pack("chat", JSON, PLAIN)) == (1, 1)
    message = {
        "type": "message", "role": "assistant", "content": [{"type": "text", "text": "x"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 4},
    }  # fmt: skip
    assert tokens(pack("messages", JSON, json.dumps(message).encode())) == (3, 4)


def test_integers_beyond_64_bits_survive():
    body = json.dumps({**WHOLE, "created": 2**70}).encode()
    served = present(pack("chat", JSON, body), asked(), Replay())
    assert json.loads(served.body)["created"] == 2**70
