"""RFC 9535's own examples, and what Python would confuse."""

from __future__ import annotations

import json

import pytest

from semcache_integrations.http.jsonpath import found, parsed

STORE = {
    "store": {
        "book": [
            {"category": "reference", "author": "Nigel Rees", "title": "Sayings", "price": 8.95},
            {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword", "price": 12.99},
            {
                "category": "fiction",
                "author": "Herman Melville",
                "title": "Moby",
                "isbn": "0-5",
                "price": 8.99,
            },
            {"category": "fiction", "author": "Tolkien", "title": "Lord", "isbn": "0-3", "price": 22.99},
        ],
        "bicycle": {"color": "red", "price": 399},
    }
}
FILTERED = {
    "a": [3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}],
    "o": {"p": 1, "q": 2, "r": 3, "s": 5, "t": {"u": 6}},
    "e": "f",
}
NULLED = {"a": None, "b": [None], "c": [{}], "null": 1}
DESCENDED = {"o": {"j": 1, "k": 2}, "a": [5, 3, [{"j": 4}, {"k": 6}]]}
LETTERS = ["a", "b", "c", "d", "e", "f", "g"]
B = FILTERED["a"]

RFC_EXAMPLES = [  # RFC 9535, tables 2, 5 to 17
    (STORE, "$.store.book[*].author", ["Nigel Rees", "Evelyn Waugh", "Herman Melville", "Tolkien"]),
    (STORE, "$..author", ["Nigel Rees", "Evelyn Waugh", "Herman Melville", "Tolkien"]),
    (STORE, "$.store.*", [STORE["store"]["book"], STORE["store"]["bicycle"]]),
    (STORE, "$.store..price", [8.95, 12.99, 8.99, 22.99, 399]),
    (STORE, "$..book[2].author", ["Herman Melville"]),
    (STORE, "$..book[2].publisher", []),
    (STORE, "$..book[-1].title", ["Lord"]),
    (STORE, "$..book[0,1].title", ["Sayings", "Sword"]),
    (STORE, "$..book[:2].title", ["Sayings", "Sword"]),
    (STORE, "$..book[?@.isbn].title", ["Moby", "Lord"]),
    (STORE, "$..book[?@.price<10].title", ["Sayings", "Moby"]),
    ({"k": "v"}, "$", [{"k": "v"}]),
    ({"o": {"j j": {"k.k": 3}}, "'": {"@": 2}}, "$.o['j j']", [{"k.k": 3}]),
    ({"o": {"j j": {"k.k": 3}}, "'": {"@": 2}}, "$.o['j j']['k.k']", [3]),
    ({"o": {"j j": {"k.k": 3}}, "'": {"@": 2}}, """$["'"]["@"]""", [2]),
    ({"o": {"j": 1, "k": 2}, "a": [5, 3]}, "$[*]", [{"j": 1, "k": 2}, [5, 3]]),
    ({"o": {"j": 1, "k": 2}, "a": [5, 3]}, "$.o[*, *]", [1, 2, 1, 2]),
    (["a", "b"], "$[1]", ["b"]),
    (["a", "b"], "$[-2]", ["a"]),
    (["a", "b"], "$[-3]", []),
    (LETTERS, "$[1:3]", ["b", "c"]),
    (LETTERS, "$[5:]", ["f", "g"]),
    (LETTERS, "$[1:5:2]", ["b", "d"]),
    (LETTERS, "$[5:1:-2]", ["f", "d"]),
    (LETTERS, "$[::-1]", LETTERS[::-1]),
    (LETTERS, "$[::0]", []),
    (LETTERS, "$[0, 3]", ["a", "d"]),
    (LETTERS, "$[0:2, 5]", ["a", "b", "f"]),
    (LETTERS, "$[0, 0]", ["a", "a"]),
    (FILTERED, "$.a[?@.b == 'kilo']", [{"b": "kilo"}]),
    (FILTERED, "$.a[?(@.b == 'kilo')]", [{"b": "kilo"}]),
    (FILTERED, "$.a[?@>3.5]", [5, 4, 6]),
    (FILTERED, "$.a[?@.b]", B[6:]),
    (FILTERED, "$[?@.*]", [FILTERED["a"], FILTERED["o"]]),
    (FILTERED, "$[?@[?@.b]]", [FILTERED["a"]]),
    (FILTERED, "$.o[?@<3, ?@<3]", [1, 2, 1, 2]),
    (FILTERED, '$.a[?@<2 || @.b == "k"]', [1, {"b": "k"}]),
    (FILTERED, '$.a[?match(@.b, "[jk]")]', [{"b": "j"}, {"b": "k"}]),
    (FILTERED, '$.a[?search(@.b, "[jk]")]', [{"b": "j"}, {"b": "k"}, {"b": "kilo"}]),
    (FILTERED, "$.o[?@>1 && @<4]", [2, 3]),
    (FILTERED, "$.o[?@.u || @.x]", [{"u": 6}]),
    (FILTERED, "$.a[?@.b == $.x]", B[:6]),
    (FILTERED, "$.a[?@ == @]", B),
    (FILTERED, "$.a[?!@.b]", B[:6]),
    (FILTERED, "$.o[?@ >= 5]", [5]),
    (FILTERED, "$.a[?@ != 3 && @ <= 2]", [1, 2]),
    (DESCENDED, "$..j", [1, 4]),
    (DESCENDED, "$..[0]", [5, {"j": 4}]),
    (DESCENDED, "$..*", [*DESCENDED.values(), 1, 2, *DESCENDED["a"], {"j": 4}, {"k": 6}, 4, 6]),
    (DESCENDED, "$..o", [{"j": 1, "k": 2}]),
    (DESCENDED, "$.o..[*, *]", [1, 2, 1, 2]),
    (DESCENDED, "$.a..[0, 1]", [5, 3, {"j": 4}, {"k": 6}]),
    (NULLED, "$.a", [None]),
    (NULLED, "$.a[0]", []),
    (NULLED, "$.a.d", []),
    (NULLED, "$.b[?@]", [None]),
    (NULLED, "$.b[?@==null]", [None]),
    (NULLED, "$.c[?@.d==null]", []),
    (NULLED, "$.null", [1]),
    ([{"a": "abc"}, {"a": [1, 2, 3]}, {"a": 3}], "$[?length(@.a) == 3].a", ["abc", [1, 2, 3]]),
    ([{"a": [1, 2]}, {"a": 1}], "$[?count(@..*) > 1].a", [[1, 2]]),
    (
        [{"b": {"color": "red"}}, {"color": 1, "b": {"color": "red"}}],
        '$[?value(@..color) == "red"].b',
        [{"color": "red"}],
    ),
    ([0, False, "", None], "$[?@]", [0, False, "", None]),  # to exist is not to be true
    ([[1], [True], [{"x": 0}], [{"x": False}]], "$[?@ == $[0]]", [[1]]),  # 1 is not true, however deep
    ([1, True, "1"], "$[?@ == true]", [True]),
    ([1, True, "a"], "$[?@ < 2]", [1]),
    ("text", "$[0:2]", []),  # a text has no elements
    ({"0": "key"}, "$[0]", []),
]


@pytest.mark.parametrize(("body", "path", "values"), RFC_EXAMPLES)
def test_paths_select_what_rfc_9535_says(body, path, values):
    selected = [node.value for node in found(parsed(path), body)]
    assert [json.dumps(value) for value in selected] == [json.dumps(value) for value in values]
