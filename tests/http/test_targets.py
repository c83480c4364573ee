"""URLs that headers name: what is joined and how, and what is no URL of an upstream."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.routing import route
from semcache_integrations.http.targets import target

CHAT, HOST, UPSTREAM = "/v1/chat/completions", "x-llm-proxy-host", "x-llm-proxy-upstream"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("https://api.deepseek.com", "https://api.deepseek.com/v1/chat/completions"),
        ("api.deepseek.com", "https://api.deepseek.com/v1/chat/completions"),
        ("localhost:11434", "https://localhost:11434/v1/chat/completions"),
        ("HTTP://LocalHost:11434", "http://localhost:11434/v1/chat/completions"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://api.groq.com/openai", "https://api.groq.com/openai/v1/chat/completions"),
        ("https://x.example/v1beta/openai", "https://x.example/v1beta/openai/v1/chat/completions"),
        ("https://x.example/v2", "https://x.example/v2/v1/chat/completions"),
        ("https://x.example/a%2Fb/", "https://x.example/a%2Fb/v1/chat/completions"),
        ("https://x.example?api-version=2", "https://x.example/v1/chat/completions?api-version=2"),
        ("https://x.example/?next=http://y/z", "https://x.example/v1/chat/completions?next=http://y/z"),
        ("  https://x.example\t", "https://x.example/v1/chat/completions"),
        ("https://[::1]:8080", "https://[::1]:8080/v1/chat/completions"),
        ("[2001:DB8::0]", "https://[2001:db8::]/v1/chat/completions"),
        ("https://bücher.example", "https://xn--bcher-kva.example/v1/chat/completions"),
        ("https://\uff11\uff12\uff17.0.0.1", "https://127.0.0.1/v1/chat/completions"),
        ("https://my_service.:1", "https://my_service.:1/v1/chat/completions"),
        ("https://x.example:65535/ü", "https://x.example:65535/%C3%BC/v1/chat/completions"),
    ],
)
def test_a_host_keeps_its_path_and_query(host, url):
    assert route("POST", CHAT, "", [(HOST, host)]).url == url


@pytest.mark.parametrize(
    "url",
    ["", "https://", "https:///v1", "//x.example", "ftp://x.example", "file:///etc/passwd", "javascript:alert(1)",
     "https://user:pw@x.example", "https://user@x.example", "https://x.example@evil.example", "https://@x.example",
     "https://x.example#part", "https://x.example/#", "https://x.example/a b", "https://x.example\r\nX-Evil: 1",
     "https://x.example\x00", "https://x.example/\u2028", "https://x.example:0", "https://x.example:65536",
     "https://x.example:", "https://x.example:80a", "https://x.example:٣", "https://x.example:-1", "https://[::1",
     "https://[fe80::1%25eth0]", "https://[1::2::3]", "https://::1", "https://127.1", "https://2130706433",
     "https://0x7f000001", "https://0177.0.0.1", "https://256.0.0.1", "https://x..example", "https://-x.example",
     "https://x.example\\.evil.example", "https://x.example,https://y.example", "https://" + "a" * 64 + ".example",
     "https://" + "a." * 130 + "example", "https://ü" + "a" * 300, "https://x.example%2eevil", "https://./", "http:/x.example",
     "https://℀.example", "https://x.example/\ud800"],
)  # fmt: skip
@pytest.mark.parametrize("header", [HOST, UPSTREAM])
def test_what_is_no_plain_http_url_is_refused_before_anything_is_looked_up(header, url):
    with pytest.raises(ProblemError, match=header) as refused:
        route("POST", CHAT, "", [(header, url)])
    assert refused.value.status == 400
    assert "pw" not in refused.value.message


segments = st.lists(st.text("abv1%2F-.~", min_size=1, max_size=6), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
queries = st.lists(st.tuples(st.sampled_from("abc"), st.text("xy%2F+", max_size=4)), max_size=3).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)


@given(segments, segments, queries, queries)
def test_a_joined_url_keeps_host_base_path_and_query(base, path, said, asked):
    url = str(target(f"https://h.example:8443{base}?{said}", said_by="h").joined(path or "/").asked(asked))
    parts = urlsplit(url)
    assert parts.netloc == "h.example:8443"
    assert parts.path.startswith(base)
    assert "/v1/v1/" not in parts.path or "/v1/v1" in base or "/v1/v1" in path
    assert parts.query.startswith(said)
    names = {name for name, _ in parse_qsl(said, keep_blank_values=True)}
    sent = parse_qsl(parts.query, keep_blank_values=True)
    assert all(pair in sent for pair in parse_qsl(asked, keep_blank_values=True) if pair[0] not in names)
