"""The way out over TLS: a certificate is compared with the name that was asked for, on every connection."""

from __future__ import annotations

import httpx
import pytest
from doubles.wire_server import OK, Authority, listening, says, says_and

from semcache_integrations.http.addresses import Allowed
from semcache_integrations.http.egress import Timeouts, Upstreams
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.resending import Retries


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def upstreams(tls, **settings) -> Upstreams:
    allowed = Allowed(["a.test", "b.test"])
    return Upstreams(allowed, tls=tls, resolver=here, retries=Retries(connect=0), **settings)


async def ask(transport: Upstreams, url: str) -> int:
    pretended = {"sni_hostname": "a.test"}
    answer = await transport.handle_async_request(httpx.Request("GET", url, extensions=pretended))
    await answer.aread()
    await answer.aclose()
    return answer.status_code


async def problem(transport: Upstreams, url: str, status: int = 502) -> str:
    with pytest.raises(ProblemError) as refused:
        await ask(transport, url)
    assert refused.value.status == status
    assert "127.0.0.1" not in refused.value.message
    return refused.value.message


@pytest.mark.parametrize("spelled", ["a.test", "A.Test", "a.test."])
async def test_the_certificate_is_compared_with_the_name(authority, spelled):
    async with (
        listening(says(OK), tls=authority.serving("a.test")) as wire,
        upstreams(authority.trusting()) as transport,
    ):
        assert await ask(transport, f"https://{spelled}:{wire.port}") == 200


async def test_another_name_is_refused(authority):
    async with (
        listening(says(OK), tls=authority.serving("a.test")) as wire,
        upstreams(authority.trusting()) as transport,
    ):
        message = await problem(transport, f"https://b.test:{wire.port}")
    assert "its certificate was refused (Hostname mismatch" in message
    assert wire.requests == []


async def test_two_names_on_one_address_share_no_connection(authority):
    async with (
        listening(says(OK), tls=authority.serving("a.test")) as wire,
        upstreams(authority.trusting()) as transport,
    ):
        assert await ask(transport, f"https://a.test:{wire.port}") == 200
        await problem(transport, f"https://b.test:{wire.port}")
        assert await ask(transport, f"https://a.test:{wire.port}") == 200
    assert len(wire.requests) == 2


async def test_an_authority_that_nobody_knows_is_refused_whatever_the_environment_says(
    authority, tmp_path, monkeypatch
):
    file = tmp_path / "authority.pem"
    authority.write(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with listening(says(OK), tls=authority.serving("a.test")) as wire, upstreams(None) as transport:
        assert "its certificate was refused" in await problem(transport, f"https://a.test:{wire.port}")
    assert wire.requests == []


async def test_a_server_without_tls_is_a_502(authority):
    plain = says_and(b"HTTP/1.1 400 Bad Request\r\n\r\n", "hang")
    async with listening(plain, at_once=True) as wire, upstreams(authority.trusting()) as transport:
        message = await problem(transport, f"https://a.test:{wire.port}")
    assert "it does not speak TLS as we do" in message


async def test_a_server_that_never_shakes_hands_is_a_504(authority):
    limits = Timeouts(connect_s=0.1)
    silent = says_and(b"", "hang")
    async with (
        listening(silent, at_once=True) as wire,
        upstreams(authority.trusting(), timeouts=limits) as transport,
    ):
        await problem(transport, f"https://a.test:{wire.port}", 504)
