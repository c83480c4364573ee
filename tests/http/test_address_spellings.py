"""Every spelling of an upstream is that upstream, or none at all."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.http.addresses import Allowed, Upstream
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.reach import Reach, reach_of


def allowed(listed: list[str], url: str) -> bool:
    upstream = Upstream.of(url)
    try:
        Allowed(listed).check(upstream)
    except ProblemError:
        return False
    return True


def v4_spellings(address: IPv4Address) -> st.SearchStrategy[str]:
    """Every way in which `inet_aton` reads the address: 1 to 4 parts, each decimal, octal or hexadecimal."""
    octets = list(address.packed)

    def joined(leading: int) -> st.SearchStrategy[str]:
        rest = int.from_bytes(bytes(octets[leading:]), "big")
        forms = [
            st.sampled_from([str(n), f"0{n:o}", f"0x{n:x}", f"0X{n:08X}"]) for n in (*octets[:leading], rest)
        ]
        return st.tuples(*forms).map(".".join)

    dots = st.sampled_from(["", "."])
    return st.builds(str.__add__, st.integers(0, 3).flatmap(joined), dots)


def v6_spellings(address: IPv6Address) -> st.SearchStrategy[str]:
    forms = [str(address), address.exploded, address.exploded.upper()]
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    forms.append(":".join(address.exploded.split(":")[:6]) + f":{last}")
    return st.sampled_from(forms).map("[{}]".format)


def readable(url: str) -> bool:
    """Whether httpx takes it: of octal numbers in four parts it takes some."""
    try:
        return bool(httpx.URL(url))
    except httpx.InvalidURL:
        return False


@given(st.data(), st.ip_addresses(v=4), st.integers(1, 65535))
def test_every_spelling_of_an_ipv4_address_is_that_address(data, address, port):
    spelled = data.draw(v4_spellings(address))
    url = f"http://{spelled}:{port}/v1"
    if not readable(url):
        with pytest.raises(ProblemError):
            Upstream.of(url)
        return
    assert Upstream.of(url) == Upstream("http", str(address), port)
    assert allowed(["*"], url) == (reach_of(address) is Reach.PUBLIC)
    assert allowed([f"{spelled}:{port}"], f"http://{address}:{port}")


@given(st.data(), st.ip_addresses(v=6))
def test_every_spelling_of_an_ipv6_address_is_that_address(data, address):
    url = f"https://{data.draw(v6_spellings(address))}/v1"
    assert Upstream.of(url).host == str(address)
    assert allowed(["*"], url) == (reach_of(address) is Reach.PUBLIC)
    assert allowed([f"[{address}]"], url)


@pytest.mark.parametrize(
    "spelled",
    ["API.OpenAI.com", "api.openai.com.", "API.OPENAI.COM.", "api\N{IDEOGRAPHIC FULL STOP}openai.com", "api.openai.com:443"],
)  # fmt: skip
def test_a_name_is_the_same_in_every_spelling(spelled):
    assert Upstream.of(f"https://{spelled}/v1") == Upstream("https", "api.openai.com", 443)
    assert allowed([spelled], "https://api.openai.com")


def test_names_of_other_scripts_are_compared_in_ascii():
    assert allowed(["*.bücher.example"], "https://a.xn--bcher-kva.example")
    assert not allowed(["*.bücher.example"], "https://a.bucher.example")


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https:///v1",
        "/v1",
        "api.openai.com",
        "ftp://api.openai.com",
        "file:///etc/passwd",
        "https://api.openai.com:0",
        "https://api.openai.com:65536",
        "https://api.openai.com:x",
        "https://api..openai.com",
        "https://.openai.com",
        "https://-a.example",
        "https://a b.example",
        "https://a%2eb.example",
        "https://%31%32%37.0.0.1",
        "https://①②⑦.0.0.1",
        "https://xn--",
        f"https://{'a' * 64}.example",
        f"https://{'a.' * 127}example",
        "https://1.2.3.4.5",
        "https://1.2.3.4.0",
        "https://256.0.0.1",
        "https://127.0.0.0x",
        "https://1..1",
        "https://08.0.0.1",
        "https://1_0.0.0.1",
        "https://0x100000000",
        "https://example.1",
        "https://[::1",
        "https://[::1%25eth0]",
        "https://[fe80::1%eth0]",
        "https://[v1.x]",
    ],
)
def test_what_names_no_upstream_is_refused(url):
    with pytest.raises(ProblemError) as refused:
        Upstream.of(url)
    assert refused.value.status == 400


def test_credentials_in_a_url_are_refused_and_not_repeated():
    with pytest.raises(ProblemError, match="credentials belong into a header") as refused:
        Upstream.of("https://user:hunter2@api.openai.com")
    assert "hunter2" not in refused.value.message


@given(st.text(min_size=1, max_size=40))
def test_whatever_is_asked_for_is_an_upstream_or_a_problem(text):
    url = f"http://{text}"
    with suppress(ProblemError):
        upstream = Upstream.of(url)
        assert Upstream.of(str(upstream)) == upstream
        assert not allowed([], url)
