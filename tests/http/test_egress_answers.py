"""Answers on the way out: those that break off, those that are asked for again, and those that open the breaker."""

from __future__ import annotations

import asyncio
import json

import httpcore
import httpx
import pytest
from doubles.asking import CHAT, Names, ask, nobody, problem, upstreams
from doubles.wire_server import OK, Wire, listening, says, says_and

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.egress import ONCE, Timeouts
from semcache_integrations.http.pools import BUSY, Pools
from semcache_integrations.http.resending import Retries
from semcache_integrations.http.upstream_breaker import Rests, UpstreamBreaker
from semcache_integrations.testing import FakeClock


async def kept(answer: httpx.Response, pieces: list[bytes]) -> None:
    async for piece in answer.aiter_raw():
        pieces += [piece]


BEGUN = b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\nfirst"


@pytest.mark.parametrize(
    ("then", "limits", "error"),
    [
        ("cut", {}, httpx.RemoteProtocolError),
        ("hang", {"read_s": 0.1}, httpx.ReadTimeout),
        ("drip", {"total_s": 0.15}, httpx.ReadTimeout),
    ],
)
async def test_an_answer_that_has_begun_breaks_off_with_httpx_error(then, limits, error):
    pieces = []
    async with listening(says_and(BEGUN, then)) as wire, upstreams(timeouts=Timeouts(**limits)) as transport:
        answer = await transport.handle_async_request(httpx.Request("GET", f"http://127.0.0.1:{wire.port}"))
        with pytest.raises(error):
            await kept(answer, pieces)
        await answer.aclose()
    assert b"".join(pieces).startswith(b"first")
    assert len(wire.requests) == 1


async def test_an_answer_that_is_let_go_frees_its_connection():
    async with (
        listening(says_and(BEGUN, "hang")) as wire,
        upstreams(limits=httpx.Limits(max_connections=1)) as transport,
    ):
        for _ in range(3):
            answer = await transport.handle_async_request(
                httpx.Request("GET", f"http://127.0.0.1:{wire.port}")
            )
            await answer.aclose()
    assert wire.connections == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_an_upstream_that_declines_is_asked_again_only_where_that_is_switched_on(provider, status):
    url = f"{provider.url}/chat/completions"
    provider.fail(status)
    async with upstreams() as transport:
        assert (await ask(transport, url, json=CHAT)).status_code == status
    provider.fail(status, times=2)
    async with upstreams(
        retries=Retries(answers=2, first_s=1e4, longest_s=1e4)
    ) as transport:  # it says when: at once
        assert (await ask(transport, url, json=CHAT)).status_code == 200
        assert set(transport.breaker.states().values()) == {"closed"}
    assert [call.body for call in provider.calls] == [CHAT] * 4


async def test_the_last_answer_is_passed_on_readable(provider):
    provider.fail(503, times=9)
    async with upstreams(retries=Retries(answers=2)) as transport:
        answer = await ask(transport, f"{provider.url}/chat/completions", json=CHAT)
    assert "planned fault 503" in json.dumps(answer.json())
    assert provider.count == 3


@pytest.mark.parametrize("status", [400, 401, 404, 500, 501])
async def test_other_answers_are_not_asked_for_again(provider, status):
    provider.fail(status)
    async with upstreams(retries=Retries(answers=2, first_s=0.001)) as transport:
        assert (await ask(transport, f"{provider.url}/chat/completions", json=CHAT)).status_code == status
    assert provider.count == 1


@pytest.mark.parametrize(
    ("asked", "requests", "status"), [(b"0", 2, 200), (b"11", 1, 429), (b"later", 2, 200)]
)
async def test_an_upstream_is_not_asked_sooner_than_it_wants(asked, requests, status):
    limited = b"HTTP/1.1 429 x\r\nretry-after: %s\r\ncontent-length: 4\r\n\r\nslow" % asked
    retries = Retries(answers=1, first_s=0.001)
    async with listening(says(limited, OK)) as wire, upstreams(retries=retries) as transport:
        answer = await ask(transport, f"http://127.0.0.1:{wire.port}")
    assert (len(wire.requests), answer.status_code) == (requests, status)


async def test_a_body_that_comes_in_pieces_is_sent_again_whole():
    async def body():
        yield b"one "
        yield b"two"

    again = b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n"
    async with (
        listening(says(again, OK)) as wire,
        upstreams(retries=Retries(answers=1, first_s=0.001)) as transport,
    ):
        await ask(transport, f"http://127.0.0.1:{wire.port}", content=body(), headers={"content-length": "7"})
    assert [request.split(b"\r\n\r\n")[1] for request in wire.requests] == [b"one two"] * 2


async def test_a_body_that_is_sent_as_it_comes_is_sent_once_and_read_when_somebody_is_there():
    names, asked = Names(a=[["127.0.0.1"]]), []

    async def body():
        asked.extend(names.asked)
        yield b"one "
        yield b"two"

    again = b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n"
    retries = Retries(answers=1, first_s=0.001)
    async with (
        listening(says(again, OK)) as wire,
        upstreams("a.test", resolver=names, retries=retries) as transport,
    ):
        said = {"content": body(), "headers": {"content-length": "7"}, "extensions": {ONCE: True}}
        assert (await ask(transport, f"http://a.test:{wire.port}", **said)).status_code == 503
    assert asked == ["a.test"]
    assert [request.split(b"\r\n\r\n")[1] for request in wire.requests] == [b"one two"]


class Made(list):
    """Makes pools, and keeps them."""

    def __call__(self, size: int) -> httpcore.AsyncConnectionPool:
        self.append(httpcore.AsyncConnectionPool(max_connections=size))
        return self[-1]


def test_a_pool_is_made_when_the_others_are_busy_and_no_more_than_there_may_be():
    made = Made()
    pools = Pools(made, 2 * BUSY)
    places = [pools.place() for _ in range(BUSY)]
    assert len(made) == 1
    places += [pools.place() for _ in range(BUSY + 1)]
    assert len(made) == 2


async def test_a_place_is_left_once_however_often_it_is_left_and_by_who_fails():
    made = Made()
    pools = Pools(made, 2 * BUSY)
    first, *_others = [pools.place() for _ in range(BUSY)]
    with pytest.raises(httpcore.ConnectError):
        await first.send(httpcore.Request("GET", f"http://127.0.0.1:{nobody()}"))
    second = pools.place()  # where the first one was
    assert len(made) == 1
    first.leave()
    third = pools.place()
    assert len(made) == 2
    for place in (second, third):
        place.leave()
    await pools.aclose()


async def test_a_connection_is_used_again_however_many_answers_have_been_read():
    async with listening(says(OK)) as wire, upstreams() as transport:
        for _ in range(BUSY + 1):
            await ask(transport, f"http://127.0.0.1:{wire.port}")
    assert (len(wire.requests), wire.connections) == (BUSY + 1, 1)


async def test_an_upstream_that_fails_again_and_again_is_left_alone(provider):
    clock = FakeClock(0.0)
    breaker = UpstreamBreaker(Rests(failures=2, rest_s=10.0), clock=clock)
    url = f"{provider.url}/chat/completions"
    provider.fail(500, times=2)
    async with upstreams(breaker=breaker) as transport:
        assert [(await ask(transport, url, json=CHAT)).status_code for _ in range(2)] == [500, 500]
        assert f"{provider.origin} failed 2 times" in await problem(transport, url, 503, json=CHAT)
        assert provider.count == 2
        assert breaker.states() == {provider.origin: "open"}
        clock.advance(10.0)
        assert (await ask(transport, url, json=CHAT)).status_code == 200
    assert breaker.states() == {provider.origin: "closed"}


async def test_whose_quota_is_used_up_is_left_alone_and_nobody_else(provider):
    breaker = UpstreamBreaker(Rests(failures=2, rest_s=10.0), clock=FakeClock(0.0))
    url = f"{provider.url}/chat/completions"
    mine, other = {"authorization": "Bearer 1"}, {"authorization": "Bearer 2"}
    provider.fail(429, times=2)
    async with upstreams(breaker=breaker) as transport:
        told = [(await ask(transport, url, json=CHAT, headers=mine)).status_code for _ in range(2)]
        assert told == [429, 429]
        assert f"{provider.origin} failed 2 times" in await problem(
            transport, url, 503, json=CHAT, headers=mine
        )
        assert (await ask(transport, url, json=CHAT, headers=other)).status_code == 200
        assert transport.states() == {provider.origin: "open"}
    assert breaker.states() == {provider.origin: "closed"}


async def test_who_cannot_be_reached_is_left_alone_and_who_is_refused_is_not_counted():
    breaker, port = UpstreamBreaker(Rests(failures=2)), nobody()
    names = Names(a=[["127.0.0.1"]], b=[["169.254.169.254"]])
    async with upstreams("a.test", "b.test", resolver=names, breaker=breaker) as transport:
        for _ in range(3):
            await problem(transport, "http://b.test", 403)
        for status in (502, 502, 503):
            await problem(transport, f"http://a.test:{port}", status)
    assert breaker.states() == {"http://b.test": "closed", f"http://a.test:{port}": "open"}


async def test_a_client_that_goes_away_frees_the_probes_place():
    clock = FakeClock(0.0)
    breaker = UpstreamBreaker(Rests(failures=1, rest_s=10.0), clock=clock)

    async def talk(wire: Wire, writer: asyncio.StreamWriter) -> None:
        if len(wire.requests) == 2:
            await asyncio.Event().wait()
        writer.write(b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n" if len(wire.requests) == 1 else OK)

    async with listening(talk) as wire, upstreams(breaker=breaker) as transport:
        url = f"http://127.0.0.1:{wire.port}"
        await ask(transport, url)
        clock.advance(10.0)
        probe = asyncio.ensure_future(ask(transport, url))
        await wire.until(2)
        await problem(transport, url, 503)
        probe.cancel()
        await asyncio.wait([probe])
        assert (await ask(transport, url)).status_code == 200
    assert breaker.states() == {url: "closed"}


@pytest.mark.parametrize("wrong", [{"connect_s": 0.0}, {"total_s": -1.0}])
def test_time_limits_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        Timeouts(**wrong)


@pytest.mark.parametrize("wrong", [{"connect": -1}, {"answers": -1}, {"first_s": 0.0}, {"longest_s": 0.0}])
def test_retries_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        Retries(**wrong)
