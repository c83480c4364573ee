"""A user's file is read as it is meant, or refused with its line, the reason and what to do."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.tuning.data import Pair, Pairs, Request, Stream, read_data
from semcache_integrations.tuning.files import MAX_LINE_BYTES


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def write(folder, name: str, content: str | bytes):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


LABELLED = [Request("hi", "greet"), Request("bye", "part")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "hi", "class": "greet"}\n{"text": "bye", "class": "part"}\n'),
        ("b.log", '\n{"TEXT": "hi", "intent": "greet"}\r\n\r\n{"TEXT": "bye", "intent": "part"}'),
        ("c.csv", "text,class\nhi,greet\nbye,part\n"),
        ("d.csv", "\ufeffQuestion,Category,more\r\nhi,greet,\r\n\r\nbye,part,x\r\n"),
        ("e.tsv", "text\tlabel\nhi\tgreet\nbye\tpart\n"),
        ("f.txt", 'query,"class"\n"hi",greet\nbye,"part"\n'),
        (
            "g.jsonl.gz",
            gzip.compress(b'{"text": "hi", "class": "greet"}\n{"text": "bye", "class": "part"}', mtime=0),
        ),
        ("h.csv.gz", gzip.compress(b"text,class\nhi,greet\nbye,part\n", mtime=0)),
    ],
)
def test_a_labelled_stream_is_read_from_every_format(folder, name, content):
    assert read_data(write(folder, name, content)) == Stream(name, tuple(LABELLED), "class")


@pytest.mark.parametrize(
    "content",
    [
        '{"a": "x", "b": "y", "label": 1, "tag": "t"}\n{"a": "p", "b": "q", "label": false}',
        '{"sentence1": "x", "sentence2": "y", "label": "yes", "tag": "t"}\n{"sentence1": "p", "sentence2": "q", "label": 0.0}',
        "id,question1,question2,is_duplicate,tag\n1,x,y,1,t\n2,p,q,0,\n",
        "text_a,text_b,label,tag\nx,y,TRUE,t\np,q,No,\n",
    ],
)
def test_labelled_pairs_are_known_by_their_columns(folder, content):
    expected = (Pair("x", "y", same=True, tag="t"), Pair("p", "q", same=False))
    assert read_data(write(folder, "pairs", content)) == Pairs("pairs", expected)


def test_a_log_with_answers_takes_equal_answers_for_a_class_whatever_their_case_and_punctuation(folder):
    log = [("q1", "Paris."), ("q2", "paris"), ("q3", "Rome"), ("q4", "!!!"), ("q5", "???")]
    lines = "\n".join(json.dumps({"prompt": prompt, "response": answer}) for prompt, answer in log)
    stream = read_data(write(folder, "log.jsonl", lines))
    assert isinstance(stream, Stream)
    assert stream.labels == "answer"
    labels = [row.label for row in stream.rows]
    assert labels[0] == labels[1]
    assert len(set(labels)) == 4  # answers without words are what they are, not all the same


@pytest.mark.parametrize("content", ["how are you?\nhi, there\n\n  what now \n", "text\nquestion\nhi"])
def test_plain_text_is_an_unlabelled_stream(folder, content):
    stream = read_data(write(folder, "plain.txt", content))
    assert isinstance(stream, Stream)
    assert stream.labels == "none"
    assert stream.rows == tuple(Request(line.strip()) for line in content.splitlines() if line.strip())


def test_a_class_wins_over_an_answer_and_a_number_is_a_name_too(folder):
    stream = read_data(write(folder, "both.jsonl", '{"text": "x", "class": 7, "response": "y"}'))
    assert stream == Stream("both.jsonl", (Request("x", "7"),), "class")


def test_a_limit_takes_the_first_rows_and_reads_no_further(folder):
    path = write(folder, "limited.csv", "text,class\nhi,greet\nbye,part\nbroken\n")
    assert read_data(path, limit=2).rows == tuple(LABELLED)
    with pytest.raises(ConfigurationError, match=r"limited\.csv:4: 1 fields where the header has 2"):
        read_data(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"the file is empty"),
        (" \n\r\n\t\n", r"the file is empty"),
        ("text,class\n", r"there is a header and no row"),
        ("text,class,TEXT\nx,y,z\n", r":1: two columns are called 'text'; rename"),
        ('{"text": "x", "text": "y"}', r":1: a field occurs twice; keep one"),
        (
            "text,class\nx,y\n\nx,y,z\n",
            r":4: 3 fields where the header has 2; put fields with commas in quotes",
        ),
        ('text,class\n"x,y\n', r":2: not CSV \(.*\); close every quote"),
        ("text,class\nx,\n", r":2: class is missing or no name; name the class in every row"),
        ("text,class\n ,y\n", r":2: text is blank; fill it in"),
        ('{"text": "x", "class": "y"}\n{"text": "x"}', r":2: class is missing or no name"),
        ('{"text": "x", "class": "y"}\n{"class": "y"}', r":2: text is missing"),
        ('{"text": "x", "class": ["y"]}', r":1: class is missing or no name"),
        (
            '{"prompt": [{"role": "user"}], "response": "y"}',
            r":1: prompt is not text but a list; write the text",
        ),
        ('{"text": "\\ud800", "class": "y"}', r":1: text holds half a character"),
        ('{"text": "x"}\n{"text"', r":2: not JSON \(.*\); write one whole object a line"),
        ('{"text": "x"}\n7', r":2: not a JSON object"),
        ('{"text": ' + "[" * 100_000, r":1: (JSON nested too deeply|not JSON)"),
        ('{"text": ' + "9" * 5_000 + "}", r":1: (not JSON .a number is too long|text is not text)"),
        ('[{"text": "x"}]', r":1: this is a JSON array; write one object a line: jq"),
        ('{"input": "x"}', r":1: no known column among: input; pairs have a, b and label"),
        ('{"a": "x", "b": "y"}', r":1: the pairs have no label; add a column label"),
        ('{"a": "x", "b": "y", "label": 0.7}', r":1: label is '0.7'; write 1 if the two may share an answer"),
        ('{"a": "x", "b": "y", "label": null}', r":1: label is 'none'; write 1"),
        (b"hi\n\xff\xfehi\n", r":2: not UTF-8 at byte 1; convert it"),
        (b"\xff\xfeh\x00i\x00", r":1: this is UTF-16; convert it"),
        ("x" * (MAX_LINE_BYTES + 1), r":1: longer than 1,000,000 bytes; give one request"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line_and_the_mending_step(folder, content, message):
    path = write(folder, "file", content)
    with pytest.raises(ConfigurationError, match="^file:? ?" + message):
        read_data(path)


def test_a_long_text_is_read_and_a_field_too_long_for_csv_is_named(folder):
    """The csv module's limit is the process's own, so it is not raised behind the user's back."""
    text = "x" * 500_000
    assert read_data(write(folder, "long.jsonl", json.dumps({"text": text}))).rows == (Request(text),)
    with pytest.raises(ConfigurationError, match=r"long\.csv:2: not CSV \(field larger than"):
        read_data(write(folder, "long.csv", f"text,class\n{text},y\n"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.gz", b"no gzip"),
        ("b.gz", gzip.compress(b"text\n" * 1_000, mtime=0)[:-9]),
        ("c.gz", gzip.compress(b"x", mtime=0)[:5]),
    ],
    ids=["no gzip", "cut short", "header only"],
)
def test_a_broken_archive_is_named(folder, name, content):
    with pytest.raises(ConfigurationError, match=f"{name}: not a whole gzip file"):
        read_data(write(folder, name, content))


def test_a_file_that_is_not_there_and_a_folder_are_named(folder):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_data(folder / "nowhere.csv")
    with pytest.raises(ConfigurationError, match="give a file that can be read"):
        read_data(folder)


@settings(max_examples=150)
@given(st.binary(max_size=200), st.sampled_from(["f", "f.csv", "f.jsonl", "f.tsv", "f.txt", "f.gz"]))
def test_any_bytes_are_read_or_refused_by_name(folder, content, name):
    read_or_refuse(write(folder, name, content))


WORDS_OF_OURS = [
    "text",
    "class",
    "a",
    "b",
    "label",
    "prompt",
    "response",
    "null",
    "a,b,label\n",
    "é",
    "1",
    "0",
]
MARKS_OF_OURS = [*',"\n\r{}[:\t\\ \ufeff\x00', '{"text": "x", "class": "y"}']
SCRAPS = st.sampled_from(WORDS_OF_OURS + MARKS_OF_OURS)


@settings(max_examples=150)
@given(st.lists(SCRAPS, max_size=20).map("".join), st.sampled_from(["f", "f.csv", "f.jsonl"]))
def test_scraps_of_our_formats_are_read_or_refused_by_name(folder, content, name):
    read_or_refuse(write(folder, name, content))


def read_or_refuse(path) -> None:
    try:
        data = read_data(path)
    except ConfigurationError as error:
        assert path.name in str(error)  # noqa: PT017 - either way is right
    else:
        assert data.rows
        texts = [row.text for row in data.rows] if isinstance(data, Stream) else [row.a for row in data.rows]
        assert all(text.strip() for text in texts)


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip)


@settings(max_examples=50)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_what_json_and_csv_write_is_what_is_read(folder, rows):
    expected = tuple(Request(text, label) for text, label in rows)
    lines = "\n".join(json.dumps({"text": text, "class": label}) for text, label in rows)
    assert read_data(write(folder, "round.jsonl", lines)).rows == expected
    table = io.StringIO()
    csv.writer(table).writerows([("text", "class"), *rows])
    assert read_data(write(folder, "round.csv", table.getvalue())).rows == expected
