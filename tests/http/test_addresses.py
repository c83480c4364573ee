"""Which upstreams may be asked: every spelling of an address is that address, and what is not listed is refused."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.addresses import DEFAULT_HOSTS, Allowed, Upstream
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.reach import Reach, reach_of

NEVER = [
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "fe80::1",
    "fe80::1%1",
    "2606:4700::1%1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "100::1",
    "::127.0.0.1",
    "64:ff9b:1::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]
OWN = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "198.18.0.1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
WRAPPED = ["::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PUBLIC = [
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "128.0.0.1",
    "223.255.255.255",
    "2606:4700::1",
    "2a00:1450::1",
    "2003::1",
]


def refusal(allowed: Allowed, url: str, *addresses: str) -> ProblemError | None:
    upstream = Upstream.of(url)
    try:
        allowed.check(upstream)
        allowed.check_addresses(upstream.host, upstream.port, map(ip_address, addresses or (upstream.host,)))
    except ProblemError as problem:
        return problem
    return None


def allows(allowed: Allowed, url: str, *addresses: str) -> bool:
    problem = refusal(allowed, url, *addresses)
    assert problem is None or (problem.status == 403 and "semcache serve --upstream" in problem.message)
    return problem is None


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        *((one, Reach.NEVER) for one in NEVER),
        *((one, Reach.OWN) for one in OWN),
        *((one, Reach.WRAPPED) for one in WRAPPED),
        *((one, Reach.PUBLIC) for one in PUBLIC),
    ],
)
def test_what_an_address_leads_to(address, reach):
    assert reach_of(ip_address(address)) is reach


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_calls_private_is_never_public_here(address):
    if not address.is_global or address.is_multicast:
        assert reach_of(address) > Reach.PUBLIC


@pytest.mark.parametrize("address", [*NEVER, *OWN, *WRAPPED])
def test_no_wildcard_reaches_what_is_not_public(address):
    assert not allows(Allowed(["*", "*.example.com"]), "https://a.example.com", "8.8.8.8", address)
    assert not allows(Allowed(), "https://one.openai.azure.com", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_every_public_host_is_allowed_where_the_operator_says_so(address):
    assert allows(Allowed(["*"]), "https://a.example.com", address)
    assert not allows(Allowed(["*:8443"]), "https://a.example.com", address)


@pytest.mark.parametrize(
    "host", ["api.openai.com", "api.anthropic.com", "openrouter.ai", "one.openai.azure.com"]
)
def test_the_known_providers_are_allowed_with_public_addresses_only(host):
    assert allows(Allowed(), f"https://{host}/v1", "104.18.7.192")
    assert not allows(Allowed(), f"https://{host}/v1", "104.18.7.192", "10.0.0.1")
    assert not allows(Allowed(), f"https://not-{host}.example", "104.18.7.192")


def test_a_known_provider_may_stand_behind_a_translator_and_at_a_listed_address():
    assert allows(Allowed(), "https://api.openai.com", "64:ff9b::6812:7c0")
    assert allows(Allowed([*DEFAULT_HOSTS, "10.0.0.5"]), "https://api.openai.com", "10.0.0.5")
    assert not allows(Allowed([*DEFAULT_HOSTS, "10.0.0.5"]), "https://api.openai.com", "10.0.0.6")


def test_a_listed_name_may_stand_in_ones_own_network_but_not_for_a_metadata_service():
    allowed = Allowed(["ollama.internal:11434"])
    assert all(allows(allowed, "http://ollama.internal:11434", address) for address in [*OWN, *PUBLIC])
    assert not any(allows(allowed, "http://ollama.internal:11434", address) for address in NEVER)
    assert not allows(allowed, "http://ollama.internal:11435", "10.0.0.1")
    with pytest.raises(
        ProblemError, match=r"has no address that may be asked.*--upstream ADDRESS"
    ) as refused:
        allowed.check_addresses("ollama.internal", 11434, [ip_address("169.254.169.254")])
    assert "169" not in refused.value.message


@pytest.mark.parametrize(
    ("listed", "neighbours"),
    [
        ("127.0.0.1:8000", ["127.0.0.1:8001", "127.0.0.2:8000", "[::1]:8000", "[::ffff:127.0.0.1]:8000"]),
        ("[::1]:8080", ["[::2]:8080", "[::1]:8081", "127.0.0.1:8080"]),
        ("169.254.169.254:80", ["169.254.169.253:80", "[fd00:ec2::254]:80"]),
        ("[::ffff:127.0.0.1]:80", ["127.0.0.1:80"]),
    ],
)  # fmt: skip
def test_a_listed_address_is_reached_and_its_neighbours_are_not(listed, neighbours):
    allowed = Allowed([listed, "*"])
    assert allows(allowed, f"http://{listed}")
    assert not any(allows(allowed, f"http://{neighbour}") for neighbour in neighbours)


def test_a_listed_address_is_reached_by_every_allowed_name_on_its_port():
    allowed = Allowed(["*", "127.0.0.1:8000"])
    assert allows(allowed, "http://localhost:8000", "127.0.0.1")
    assert not allows(allowed, "http://localhost:8001", "127.0.0.1")
    assert not allows(Allowed(["127.0.0.1:8000"]), "http://localhost:8000", "127.0.0.1")


@pytest.mark.parametrize(
    "pattern",
    ["", "https://api.openai.com", "a/b", "user@a", "a:b", "a:0", "a:65536", "a.*", "*.*", "*.127.0.0.1", "::1", "[::1", "a b", "*.", "[fe80::1%1]"],
)  # fmt: skip
def test_a_pattern_that_cannot_be_read_is_said_at_once(pattern):
    with pytest.raises(ConfigurationError, match="is no upstream: write host"):
        Allowed([pattern])


def test_a_wildcard_is_for_names_below_it():
    allowed = Allowed(["*.example.com"])
    assert allows(allowed, "https://a.b.example.com", "8.8.8.8")
    assert not allows(allowed, "https://example.com", "8.8.8.8")
    assert not allows(allowed, "https://badexample.com", "8.8.8.8")


def test_nothing_is_allowed_by_an_empty_list():
    assert not allows(Allowed([]), "https://api.openai.com", "8.8.8.8")
    with pytest.raises(ProblemError):
        Allowed([]).check_addresses("api.openai.com", 443, [ip_address("8.8.8.8")])


def test_a_refusal_says_how_to_mend_it():
    with pytest.raises(ProblemError) as refused:
        Allowed().check(Upstream.of("http://[::1]:8080"))
    assert refused.value.message == (
        "[::1] is not among the allowed upstreams: semcache serve --upstream [::1]:8080"
    )
    assert str(Upstream.of("http://[::1]:8080/x")) == "http://[::1]:8080"
    assert str(Upstream.of("https://api.openai.com:443")) == "https://api.openai.com"
