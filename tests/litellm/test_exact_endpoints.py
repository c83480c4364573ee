"""Endpoints whose questions cannot be reworded: documents to rank, and recordings. Exact repeats only."""

from __future__ import annotations

import io

import litellm
import pytest
from doubles.litellm_calls import asked

from semcache_integrations.core.errors import UnkeyableError
from semcache_integrations.litellm.requests import transcription_request

RECORDING = b"RIFF....WAVE" + bytes(range(256)) * 40
OTHER = RECORDING[:-1] + b"!"


@pytest.fixture(params=["sync", "async"])
def rank(request, cache, upstream):
    async def call(query="q", documents=("a", "b"), **more):
        question = {"model": "cohere/rerank-v3", "query": query, "documents": list(documents), **more}
        about = {"api_base": upstream.url, "api_key": "k", **question}
        return await asked(request.param, litellm.rerank, litellm.arerank, **about)

    return call


@pytest.fixture(params=["sync", "async"])
def transcribe(request, cache, upstream):
    async def call(file, **more):
        about = {"model": "openai/whisper-1", "api_base": upstream.url, "api_key": "k", "file": file, **more}
        return await asked(request.param, litellm.transcription, litellm.atranscription, **about)

    return call


async def test_documents_that_are_ranked_again_are_a_hit_and_others_are_not(rank, upstream):
    first, again = await rank(), await rank()
    assert again.results == first.results
    assert again._hidden_params["semcache"]["tier"] == "hash"
    assert again._hidden_params["cache_hit"] is True
    assert sum(upstream.calls.values()) == 1
    for number, change in enumerate(
        (
            {"query": "Q"},
            {"documents": ("b", "a")},
            {"documents": ("a",)},
            {"top_n": 1},
            {"model": "cohere/other"},
        ),
        2,
    ):
        await rank(**change)
        assert sum(upstream.calls.values()) == number


async def test_a_sync_and_an_async_ranking_share(cache, upstream):
    about = {
        "model": "cohere/rerank-v3",
        "query": "q",
        "documents": ["a"],
        "api_base": upstream.url,
        "api_key": "k",
    }
    assert litellm.rerank(**about).results == (await litellm.arerank(**about)).results
    assert sum(upstream.calls.values()) == 1


@pytest.mark.parametrize(
    "same",
    [
        RECORDING,
        bytearray(RECORDING),
        ("other name.wav", RECORDING),
        ("a.wav", io.BytesIO(RECORDING)),
        ("a.wav", RECORDING, "audio/wav"),
    ],
    ids=["bytes", "bytearray", "named", "open", "typed"],
)
async def test_the_same_recording_is_a_hit_whatever_it_is_called(transcribe, upstream, same):
    first = await transcribe(("a.wav", io.BytesIO(RECORDING)))
    again = await transcribe(same)
    assert (again.text, sum(upstream.calls.values())) == (first.text, 1)
    assert again._hidden_params["semcache"]["tier"] == "hash"


async def test_a_path_and_an_open_file_are_read_and_left_as_they_were(transcribe, upstream, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(RECORDING)
    first = await transcribe(path)
    with path.open("rb") as opened:
        assert (await transcribe(opened)).text == first.text
        assert opened.tell() == 0
    path.write_bytes(OTHER)
    assert (await transcribe(path)).text != first.text
    assert sum(upstream.calls.values()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"file": ("a.wav", OTHER)},
        {"language": "de"},
        {"prompt": "names"},
        {"response_format": "verbose_json"},
    ],
    ids=["content", "language", "prompt", "format"],
)
async def test_another_recording_of_the_same_name_or_another_setting_is_a_miss(transcribe, upstream, change):
    await transcribe(("a.wav", RECORDING))
    await transcribe(**{"file": ("a.wav", RECORDING), **change})
    assert sum(upstream.calls.values()) == 2


class Pipe(io.RawIOBase):
    """Can be read once only, as what comes from a socket: LiteLLM would take its name for its content."""

    name = "a.wav"

    def __init__(self, content):
        super().__init__()
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def read(self, size=-1):
        return self._content.read(size)


async def test_a_recording_that_can_be_read_only_once_is_passed_by(transcribe, upstream):
    for number, content in enumerate((RECORDING, RECORDING, OTHER), 1):
        await transcribe(("a.wav", Pipe(content)))
        assert RECORDING[-300:-1] in upstream.bodies[-1]["sent"]
        assert sum(upstream.calls.values()) == number


def test_a_recording_that_was_read_is_keyed_by_all_of_it_and_left_at_its_end():
    read = io.BytesIO(RECORDING)
    read.read()
    assert transcription_request({"model": "m", "file": read}) == transcription_request(
        {"model": "m", "file": RECORDING}
    )
    assert read.tell() == len(RECORDING)


def test_a_recording_that_was_opened_as_text_has_no_key():
    with pytest.raises(UnkeyableError):
        transcription_request({"model": "m", "file": io.StringIO("RIFF")})
