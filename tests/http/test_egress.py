"""Who is asked on the way out, and what is said when nobody answers; against real sockets."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from doubles.asking import CHAT, Names, ask, nobody, problem, upstreams
from doubles.wire_server import OK, listening, says, says_and

from semcache_integrations.http.addresses import Allowed
from semcache_integrations.http.dialing import resolve
from semcache_integrations.http.egress import Timeouts, Upstreams
from semcache_integrations.http.resending import Retries


async def test_a_listed_provider_answers_whole_and_in_a_stream(provider):
    async with httpx.AsyncClient(
        transport=Upstreams(Allowed([httpx.URL(provider.url).netloc.decode()]))
    ) as client:
        url = f"{provider.url}/chat/completions"
        whole = await client.post(url, json=CHAT)
        assert whole.json()["choices"][0]["message"]["content"]
        async with client.stream("POST", url, json={**CHAT, "stream": True}) as streamed:
            lines = [line async for line in streamed.aiter_lines()]
    assert "data: [DONE]" in lines
    assert [call.body["messages"] for call in provider.calls] == [CHAT["messages"]] * 2


async def test_the_neighbours_of_a_listed_address_are_refused():
    async with listening(says(OK)) as wire, upstreams(f"127.0.0.1:{wire.port}", "*") as transport:
        assert (await ask(transport, f"http://127.0.0.1:{wire.port}")).status_code == 200
        assert (await ask(transport, f"http://0x7f000001:{wire.port}")).status_code == 200
        for host in ("127.0.0.2", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "localhost"):
            url = f"http://{host}:{wire.port + (host == 'localhost')}"
            assert "127.0.0.1" not in (await problem(transport, url, 403)).replace(host, "")
    assert len(wire.requests) == 2


async def test_what_is_no_upstream_is_asked_for_nothing():
    names = Names()
    async with upstreams("*", resolver=names) as transport:
        await problem(transport, "ftp://a.test", 400)
        assert "pw" not in await problem(transport, "http://user:pw@a.test", 400)
    async with upstreams("b.test", resolver=names) as transport:
        await problem(transport, "http://a.test", 403)
    assert names.asked == []


@pytest.mark.parametrize(
    "addresses", [["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"], ["127.0.0.1"]]
)
async def test_a_wildcard_name_with_one_private_address_is_refused_unasked(addresses):
    async with listening(says(OK)) as wire, upstreams("*", resolver=Names(a=[addresses])) as transport:
        message = await problem(transport, f"http://a.test:{wire.port}", 403)
    assert "a.test is not among the allowed upstreams" in message
    assert not any(address in message for address in addresses)
    assert wire.connections == 0


async def test_a_listed_name_is_asked_under_its_name_whatever_its_host_header_says():
    async with (
        listening(says(OK)) as wire,
        upstreams("a.test", resolver=Names(a=[["127.0.0.1"]])) as transport,
    ):
        url = f"http://A.test.:{wire.port}/v1/a%2Fb?x=1"
        await ask(transport, url, headers={"Host": "metadata.internal", "X-Kept": "yes"}, content=b"body")
    head, body = wire.requests[0].split(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:2] == [b"POST /v1/a%2Fb?x=1 HTTP/1.1", b"Host: a.test:%d" % wire.port]
    assert b"X-Kept: yes" in lines
    assert head.lower().count(b"host:") == 1
    assert body == b"body"


async def test_what_was_judged_is_what_is_asked_whatever_the_name_stands_for_next():
    names = Names(a=[["127.0.0.1"], ["169.254.169.254"]])
    async with listening(says(OK)) as wire, upstreams("a.test", resolver=names) as transport:
        await ask(transport, f"http://a.test:{wire.port}")
        assert names.asked == ["a.test"], "once for the judgement and the connection together"
        await ask(transport, f"http://a.test:{wire.port}")
        assert names.asked == ["a.test"], "a connection that is kept was judged when it was made"
    async with upstreams("a.test", resolver=names) as transport:
        await problem(transport, f"http://a.test:{wire.port}", 403)
    assert names.asked == ["a.test"] * 2
    assert wire.connections == 1


async def test_another_try_is_judged_anew():
    names = Names(a=[["127.0.0.1"], ["169.254.169.254"]])
    async with upstreams("a.test", resolver=names) as transport:
        await problem(transport, f"http://a.test:{nobody()}", 403)
    assert len(names.asked) == 2


async def test_the_second_address_is_tried_where_the_first_takes_no_connection():
    names = Names(a=[["127.0.0.2", "127.0.0.1"]])
    async with listening(says(OK)) as wire, upstreams("a.test", resolver=names) as transport:
        await ask(transport, f"http://a.test:{wire.port}")
    assert len(names.asked) == 1


@contextmanager
def engaged(address: str, port: int) -> Iterator[None]:
    """Let connections to this address wait for ever: its queue is full, and nobody takes any out of it."""
    waiting = [socket.socket() for _ in range(3)]
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind((address, port))
        listener.listen(0)
        for one in waiting:
            stack.enter_context(one)
            one.settimeout(0)
            one.connect_ex((address, port))
        yield


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="only Linux lets a connection wait when the queue of a listener is full; others refuse it",
)
async def test_an_address_that_does_not_answer_leaves_time_for_the_second():
    names, limits = Names(a=[["127.0.0.2", "127.0.0.1"]]), Timeouts(connect_s=1.0)
    async with (
        listening(says(OK)) as wire,
        upstreams("a.test", resolver=names, timeouts=limits, retries=Retries(connect=0)) as transport,
    ):
        with engaged("127.0.0.2", wire.port):
            await ask(transport, f"http://a.test:{wire.port}")


async def test_this_machine_is_asked_over_ipv6():
    async with listening(says(OK), host="::1") as wire, upstreams(f"[::1]:{wire.port}") as transport:
        await ask(transport, f"http://[::1]:{wire.port}")
    assert b"Host: [::1]:%d" % wire.port in wire.requests[0]


async def test_the_operating_system_knows_this_machine():
    assert "127.0.0.1" in await resolve("localhost", 80)


async def test_no_proxy_is_taken_from_the_environment(monkeypatch):
    async with listening(says(OK)) as wire, listening(says(OK)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with upstreams() as transport:
            await ask(transport, f"http://127.0.0.1:{wire.port}")
    assert (len(wire.requests), proxy.connections) == (1, 0)


async def test_a_redirect_is_an_answer():
    async with listening(says(OK)) as other:
        moved = f"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:{other.port}/\r\ncontent-length: 0\r\n\r\n".encode()
        async with listening(says(moved)) as wire, upstreams() as transport:
            answer = await ask(transport, f"http://127.0.0.1:{wire.port}")
    assert answer.status_code == 307
    assert (len(wire.requests), other.connections) == (1, 0)


async def test_who_takes_no_connection_is_a_502_after_one_more_try():
    names = Names(a=[["127.0.0.1"]])
    async with upstreams("a.test", resolver=names) as transport:
        message = await problem(transport, f"http://a.test:{nobody()}", 502)
    assert message.endswith("could not be reached: it takes no connection")
    assert "127.0.0.1" not in message
    assert len(names.asked) == 2


@pytest.mark.parametrize(("connect", "asked"), [(0, 1), (3, 4)])
async def test_connecting_is_tried_as_often_as_is_said(connect, asked):
    names = Names(a=[["127.0.0.1"]])
    retries = Retries(connect=connect, first_s=0.001)
    async with upstreams("a.test", resolver=names, retries=retries) as transport:
        await problem(transport, f"http://a.test:{nobody()}", 502)
    assert len(names.asked) == asked


@pytest.mark.parametrize("answers", [[], [["not an address"]]])
async def test_a_name_without_an_address_is_a_502(answers):
    names = Names(a=[answers]) if not answers else Names(a=answers)
    async with upstreams("a.test", "b.test", resolver=names) as transport:
        for name in ("a", "b"):
            assert (await problem(transport, f"http://{name}.test", 502)).endswith("its name was not found")


async def test_a_name_that_is_not_found_in_time_is_a_504():
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with upstreams(resolver=never, timeouts=Timeouts(connect_s=0.02)) as transport:
        assert "did not answer in time" in await problem(transport, "http://a.test", 504)


@pytest.mark.parametrize(
    ("answer", "then", "limits"),
    [
        (b"", "hang", {"read_s": 0.1}),
        (b"HTTP/1.1 200 OK\r\nx: ", "hang", {"read_s": 0.1}),
        (b"HTTP/1.1 200 OK\r\nx: ", "drip", {"total_s": 0.15}),
    ],
)
async def test_who_does_not_begin_in_time_is_a_504_and_is_asked_once(answer, then, limits):
    async with listening(says_and(answer, then)) as wire, upstreams(timeouts=Timeouts(**limits)) as transport:
        assert "did not answer in time" in await problem(transport, f"http://127.0.0.1:{wire.port}", 504)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"SSH-2.0-OpenSSH_9.6\r\n"])
async def test_who_breaks_off_before_the_answer_is_a_502_and_is_asked_once(answer):
    async with listening(says_and(answer, "cut")) as wire, upstreams() as transport:
        assert "broke off before it answered" in await problem(
            transport, f"http://127.0.0.1:{wire.port}", 502
        )
    assert len(wire.requests) == 1


async def test_a_hanging_provider_is_a_504(provider):
    provider.fail(hang=True)
    async with upstreams(timeouts=Timeouts(read_s=0.1)) as transport:
        await problem(transport, f"{provider.url}/chat/completions", 504, json=CHAT)
        assert (await ask(transport, f"{provider.url}/chat/completions", json=CHAT)).status_code == 200


async def test_a_client_that_finds_no_free_connection_is_told_to_come_back():
    async with listening(says_and(b"", "hang")) as wire:
        settings = {"timeouts": Timeouts(pool_s=0.05), "limits": httpx.Limits(max_connections=1)}
        async with upstreams(**settings) as transport:
            first = asyncio.ensure_future(ask(transport, f"http://127.0.0.1:{wire.port}"))
            await wire.until(1)
            for _ in range(6):
                assert "are in use" in await problem(transport, f"http://127.0.0.1:{wire.port}", 503)
            assert set(transport.breaker.states().values()) == {"closed"}, "no fault of the upstream's"
            first.cancel()
            await asyncio.wait([first])


async def test_what_is_no_http_is_a_400():
    async with listening(says(OK)) as wire, upstreams() as transport:
        await problem(transport, f"http://127.0.0.1:{wire.port}", 400, headers=[(b"x y", b"z")])
    assert wire.requests == []
