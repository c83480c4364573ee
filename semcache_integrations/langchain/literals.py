"""Reads what `str(sorted(parameters.items()))` wrote, which LangChain uses as a key. Pure; evaluates nothing.

The law: text is only ever parsed, never run. An object that left nothing but its repr becomes `Opaque`;
whether that is enough to tell it from others is for the caller to say.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

_REPR = "\x00"  # marks a repr among the strings; Python's own reprs write NUL as an escape
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[<>]""", re.DOTALL)
_NOT_NUMBERS = {"nan": math.nan, "inf": math.inf}
_UNREADABLE = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)


@dataclass(frozen=True, slots=True)
class Opaque:
    """An object of which only the repr is known."""

    text: str


def read_items(text: str) -> dict[str, object] | None:
    """Return the mapping behind `str(sorted(mapping.items()))`, or None if the text is nothing like it."""
    try:
        items = _read(text)
    except _UNREADABLE:
        return None
    if not isinstance(items, list) or not all(_is_item(item) for item in items):
        return None
    return {name: value for name, value in items}  # noqa: C416 - dict() takes no list of lists, says mypy


def _is_item(item: object) -> bool:
    return isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str)  # noqa: PLR2004 - a pair


def _read(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except _UNREADABLE:
        return _value(ast.parse("".join(_with_quoted_reprs(text)), mode="eval").body)


def _with_quoted_reprs(text: str) -> Iterator[str]:
    """Yield the text with every `<…>` outside of strings turned into a marked string."""
    depth = copied = 0
    for token in _TOKEN.finditer(text):
        if token[0] == "<":
            if depth == 0:
                yield text[copied : token.start()]
                copied = token.start()
            depth += 1
        elif token[0] == ">" and depth > 0:
            depth -= 1
            if depth == 0:
                yield ascii(_REPR + text[copied : token.end()])
                copied = token.end()
    yield text[copied:]


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Constant):
        return _constant(node)
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict) and all(isinstance(name, ast.Constant) for name in node.keys):
        return {
            name.value: _value(item)
            for name, item in zip(node.keys, node.values, strict=True)
            if isinstance(name, ast.Constant)  # all are; this says so to mypy
        }
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        return -number if isinstance(number, (int, float)) else Opaque(_source(node))
    if isinstance(node, ast.Name) and node.id in _NOT_NUMBERS:
        return _NOT_NUMBERS[node.id]
    return Opaque(_source(node))


def _constant(node: ast.Constant) -> object:
    value = node.value
    if isinstance(value, str) and value.startswith(_REPR):
        return Opaque(value[1:])
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return value
    return Opaque(_source(node))


def _source(node: ast.expr) -> str:
    return ast.unparse(node).replace(ascii(_REPR)[1:-1], "")
