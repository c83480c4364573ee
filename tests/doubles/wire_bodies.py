"""Whole answers in the formats of `semcache_integrations.wire`: generated, and one of all kinds of each."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from semcache_integrations.core.replay import Replay, Strategy

replays = st.builds(Replay, st.sampled_from(get_args(Strategy)), st.integers(1, 5))
texts = st.text(max_size=30)
said = texts.filter(str.strip)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, anything, max_size=3)
ids = st.text("abcdef0123456789", min_size=4, max_size=8)
counts = st.integers(0, 9999)


def sdk_models(union):
    """Return the models of an SDK's events by the type that they are for."""
    models = get_args(get_args(union)[0])
    return {model.model_fields["type"].annotation.__args__[0]: model for model in models}


def one_of_keys(*keys):
    """Arbitrary JSON that is likely to get past the first check of a reader."""
    value = anything | st.sampled_from(
        [
            "text",
            "message",
            "tool_use",
            "completed",
            "output_text",
            "end_turn",
            "function_call",
            "stop",
            0,
            1,
            [],
            {},
        ]
    )
    inner = st.dictionaries(st.sampled_from(keys), value, max_size=5)
    return st.dictionaries(
        st.sampled_from(keys), value | inner | st.lists(inner | value, max_size=3), max_size=6
    )


# ---- Anthropic

CITATION = {
    "type": "char_location",
    "cited_text": "Paris is the capital.",
    "document_index": 0,
    "document_title": None,
    "file_id": None,
    "start_char_index": 0,
    "end_char_index": 21,
}
SEARCH_RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
citations = st.lists(st.builds(lambda cited: {**CITATION, "cited_text": cited}, texts), max_size=2)
text_blocks = st.fixed_dictionaries(
    {"type": st.just("text"), "text": texts}, optional={"citations": st.none() | citations}
)
tool_uses = st.fixed_dictionaries(
    {"type": st.just("tool_use"), "id": ids.map("toolu_{}".format), "name": said, "input": objects}
)
thoughts = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": texts})
server_uses = st.fixed_dictionaries(
    {
        "type": st.just("server_tool_use"),
        "id": ids.map("srvtoolu_{}".format),
        "name": st.just("web_search"),
        "input": objects,
    }
)
redacted = st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": texts})
known_blocks = st.one_of(text_blocks, tool_uses, thoughts, server_uses, redacted, st.just(SEARCH_RESULT))
unknown_blocks = st.fixed_dictionaries(
    {"type": said.map("new_{}".format)}, optional={"x": anything, "text": texts}
)
usages = st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts},
    optional={
        "cache_read_input_tokens": st.none() | counts,
        "server_tool_use": st.none() | st.just({"web_search_requests": 2, "web_fetch_requests": 0}),
        "output_tokens_details": st.none() | st.just({"thinking_tokens": 3}),
        "service_tier": st.just("standard"),
    },
)


def messages(blocks=known_blocks | unknown_blocks):
    return st.fixed_dictionaries(
        {
            "id": ids.map("msg_{}".format),
            "type": st.just("message"),
            "role": st.just("assistant"),
            "model": st.just("claude-test"),
            "content": st.lists(blocks, max_size=4),
            "stop_reason": st.sampled_from(
                ["end_turn", "stop_sequence", "tool_use", "max_tokens", "refusal"]
            ),
            "stop_sequence": st.none() | texts,
            "usage": usages,
        },
        optional={"stop_details": st.none(), "container": st.none(), "context_management": anything},
    )


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test",
    "content": [
        {"type": "thinking", "thinking": "They ask for a capital. I know it.", "signature": "c2lnbmF0dXJl"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "capital"}},
        SEARCH_RESULT,
        {
            "type": "text",
            "text": "It is Paris.\n\nThe capital, that is. 你好 \U0001f469\u200d\U0001f467",
            "citations": [CITATION],
        },
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "weather",
            "input": {"city": "Paris", "days": [1, 2.5], "x": None},
        },
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "stop_details": None,
    "usage": {
        "input_tokens": 12,
        "output_tokens": 345,
        "cache_read_input_tokens": 7,
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    },
}

# ---- OpenAI's Responses

ANNOTATION = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 4,
    "title": "Paris",
    "url": "https://example.org",
}
annotations = st.lists(st.just(ANNOTATION), max_size=2)
output_texts = st.fixed_dictionaries(
    {"type": st.just("output_text"), "text": texts, "annotations": annotations},
    optional={"logprobs": st.just([])},
)
refusals = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": texts})


def output_messages(parts=output_texts | refusals):
    return st.fixed_dictionaries(
        {
            "type": st.just("message"),
            "id": ids.map("msg_{}".format),
            "role": st.just("assistant"),
            "status": st.just("completed"),
            "content": st.lists(parts, max_size=3),
        }
    )


summaries = st.fixed_dictionaries({"type": st.just("summary_text"), "text": texts})
thought_texts = st.fixed_dictionaries({"type": st.just("reasoning_text"), "text": texts})
reasonings = st.fixed_dictionaries(
    {"type": st.just("reasoning"), "id": ids.map("rs_{}".format), "summary": st.lists(summaries, max_size=2)},
    optional={
        "content": st.lists(thought_texts, max_size=2),
        "encrypted_content": texts,
        "status": st.none(),
    },
)
function_calls = st.fixed_dictionaries(
    {
        "type": st.just("function_call"),
        "id": ids.map("fc_{}".format),
        "call_id": ids.map("call_{}".format),
        "name": said,
        "arguments": texts,
        "status": st.just("completed"),
    }
)
custom_calls = st.fixed_dictionaries(
    {"type": st.just("custom_tool_call"), "call_id": ids.map("call_{}".format), "name": said, "input": texts}
)
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "capital"},
}
known_items = st.one_of(output_messages(), reasonings, function_calls, custom_calls)
unknown_items = st.fixed_dictionaries(
    {"type": said.map("new_{}".format)}, optional={"x": anything, "id": ids}
)


COMPLETED = st.just("completed")


def responses(items=known_items | unknown_items, status=COMPLETED):
    return st.fixed_dictionaries(
        {
            "id": ids.map("resp_{}".format),
            "object": st.just("response"),
            "created_at": counts,
            "model": st.just("gpt-test"),
            "status": status,
            "error": st.none(),
            "incomplete_details": st.none(),
            "output": st.lists(items, max_size=4),
            "parallel_tool_calls": st.booleans(),
            "tool_choice": st.just("auto"),
            "tools": st.just([]),
        },
        optional={"usage": st.none(), "completed_at": counts, "metadata": st.just({}), "unknown": anything},
    )


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_700_000_000.0,
    "completed_at": 1_700_000_001.0,
    "model": "gpt-test",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "top_p": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "They ask for a capital."}],
            "content": [{"type": "reasoning_text", "text": "I know it."}],
            "encrypted_content": "ZGF0YQ==",
        },
        SEARCH,
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "It is Paris.\n\nThe capital, that is. 你好 \U0001f469\u200d\U0001f467",
                    "annotations": [ANNOTATION],
                    "logprobs": [],
                }
            ],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city": "Paris"}',
            "status": "completed",
        },
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "shell", "input": "ls -l"},
    ],
    "usage": {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 345,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 357,
    },
}

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}


def message_of(*parts, **fields):
    head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return {**head, "content": list(parts), **fields}


def text(said="Paris."):
    return {"type": "output_text", "text": said, "annotations": []}


def response_of(*items, **fields):
    return {**RESPONSE, "output": list(items), **fields}


# ---- OpenAI's Chat Completions

CITED = {name: value for name, value in ANNOTATION.items() if name != "type"}
SOURCES = [{"type": "url_citation", "url_citation": CITED}]
LOGPROBS = {
    "content": [{"token": "It", "logprob": -0.1, "bytes": [73, 116], "top_logprobs": []}],
    "refusal": None,
}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
functions = st.fixed_dictionaries({"name": said, "arguments": texts}, optional={"x": anything})
tool_calls = st.fixed_dictionaries(
    {"id": ids.map("call_{}".format), "type": st.just("function"), "function": functions},
    optional={"extra_content": objects},
) | st.fixed_dictionaries(
    {
        "id": ids,
        "type": st.just("custom"),
        "custom": st.fixed_dictionaries({"name": said, "input": texts}),
    }
)
thinkings = st.none() | texts
chat_messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | texts},
    optional={
        "refusal": st.none() | st.just(""),
        "reasoning_content": thinkings,
        "reasoning": thinkings,
        "tool_calls": st.none() | st.lists(tool_calls, max_size=3),
        "function_call": st.none() | functions,
        "annotations": st.just([]) | st.just(SOURCES),
        "audio": st.none() | st.just({"id": "audio_1", "data": "UklGRg==", "transcript": "Hi."}),
        "unknown": anything,
    },
)
chat_choices = st.fixed_dictionaries(
    {
        "message": chat_messages,
        "finish_reason": st.sampled_from(["stop", "tool_calls", "function_call", "length", "content_filter"]),
    },
    optional={
        "logprobs": st.none() | st.just(LOGPROBS) | st.just({"content": None, "refusal": []}),
        "content_filter_results": objects,
        "unknown": anything,
    },
)
chat_usages = st.fixed_dictionaries(
    {"prompt_tokens": counts, "completion_tokens": counts, "total_tokens": counts},
    optional={"completion_tokens_details": st.none() | st.just({"reasoning_tokens": 3})},
)


def completions(choices=chat_choices):
    return st.fixed_dictionaries(
        {
            "id": ids.map("chatcmpl-{}".format),
            "object": st.just("chat.completion"),
            "created": counts,
            "model": st.just("gpt-test"),
            "choices": st.lists(choices, max_size=3).map(
                lambda listed: [{**choice, "index": place} for place, choice in enumerate(listed)]
            ),
        },
        optional={
            "usage": chat_usages,
            "system_fingerprint": st.none() | st.just("fp_1"),
            "service_tier": st.none() | st.just("default"),
            "provider": texts,
            "unknown": anything,
        },
    )


def chat_message_of(content="Paris.", **fields):
    return {"role": "assistant", "content": content, "refusal": None, **fields}


def completion_of(*messages, reason="stop", **fields):
    choices = [
        {"index": place, "message": message, "logprobs": None, "finish_reason": reason}
        for place, message in enumerate(messages)
    ]
    return {**COMPLETION, "choices": choices, **fields}


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-test",
    "system_fingerprint": "fp_1",
    "service_tier": "default",
    "provider": "Fake",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "It is Paris.\n\nThe capital, that is. 你好 \U0001f469\u200d\U0001f467",
                "reasoning_content": "They ask for a capital. I know it.",
                "refusal": None,
                "annotations": SOURCES,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"days": [1, 2.5], "city": "Paris"}'},
                    },
                    {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}},
                ],
            },
            "logprobs": LOGPROBS,
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 12,
        "completion_tokens": 345,
        "total_tokens": 357,
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}

MESSAGE_KEYS = (
    "type", "content", "usage", "stop_reason", "output_tokens", "text", "id", "input", "name", "message",
    "index", "delta", "content_block", "partial_json", "citation", "signature", "thinking", "container",
)  # fmt: skip
RESPONSE_KEYS = (
    "type", "output", "status", "error", "incomplete_details", "content", "text", "id", "call_id", "name",
    "arguments", "input", "response", "refusal", "summary",
)  # fmt: skip
COMPLETION_KEYS = (
    "object", "choices", "index", "message", "delta", "finish_reason", "content", "refusal", "tool_calls",
    "function_call", "function", "custom", "name", "arguments", "input", "id", "logprobs", "usage", "error",
    "audio", "created",
)  # fmt: skip
