"""Evaluates RFC 9535 JSONPath in a counted number of steps.

The law: RFC 9535 to the letter, and no path on any body takes more than `STEPS` steps, because both come from
strangers. Parsing and typing are `jsonpath-rfc9535`'s (strict, I-Regexp included; `python-jsonpath` takes the
characters of a text for its elements, and has both only with an extra). Neither counts its steps, so we walk the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import comb
from typing import NamedTuple, TypeAlias

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathQuery
from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    Expression,
    FilterExpression,
    FilterExpressionLiteral,
    FilterQuery,
    FunctionExtension,
    LogicalExpression,
    PrefixExpression,
    RootFilterQuery,
)
from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import (
    FilterSelector,
    IndexSelector,
    JSONPathSelector,
    NameSelector,
    SliceSelector,
    WildcardSelector,
)

STEPS = 100_000
"""A step is a value looked at, or as much work as that: a tenth of a second at worst."""

_LONGEST_PATTERN, _MOST_CHOICES = 256, 16
_TEXT_PER_STEP, _MATCHING_PER_STEP = 1_024, 64
_QUANTIFIED_GROUP = re.compile(r"\)[*+?{]")
_CHOICES = re.compile(r"[*+?{|]")

_ENVIRONMENT = JSONPathEnvironment()
_NOTHING = object()  # RFC 9535's special result, which equals itself alone

Location: TypeAlias = tuple[str | int, ...]


class TooManyStepsError(Exception):
    """The path asks for more work on this body than a stranger may ask for."""


class Node(NamedTuple):
    """A value, and how it is reached: its key in the node above."""

    value: object
    key: str | int = ""
    above: Node | None = None

    @property
    def location(self) -> Location:
        """Its keys from the root on."""
        keys: list[str | int] = []
        node = self
        while node.above is not None:
            keys.append(node.key)
            node = node.above
        return tuple(reversed(keys))


@lru_cache(maxsize=256)
def parsed(path: str) -> JSONPathQuery:
    """Return the parsed path.

    Raises:
        ValueError: it is none; the arguments are what is wrong and at which character, counted from 1.
    """
    try:
        return _ENVIRONMENT.compile(path)
    except JSONPathError as error:
        index = error.token.index if error.token else 0
        raise ValueError(str(error.args[0]), 1 + (index if index >= 0 else len(path))) from None
    except (RecursionError, OverflowError):
        raise ValueError("it is nested too deeply, or holds too great a number", 1) from None


def found(query: JSONPathQuery, body: object) -> list[Node]:
    """Return the nodes that a query selects, in RFC 9535's order.

    Raises:
        TooManyStepsError: `STEPS` steps do not suffice.
    """
    try:
        return _Walk(body).nodes(query, Node(body))
    except RecursionError:
        raise TooManyStepsError from None


class _Walk:
    """One evaluation, which counts its steps."""

    __slots__ = ("_left", "_root")

    def __init__(self, root: object) -> None:
        self._root = root
        self._left = STEPS

    def nodes(self, query: JSONPathQuery, start: Node) -> list[Node]:
        reached = [start]
        for segment in query.segments:
            selectors = segment.selectors
            above = self._above(segment, reached)
            reached = [child for node in above for one in selectors for child in self._selected(one, node)]
        return reached

    def _spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise TooManyStepsError

    def _above(self, segment: JSONPathSegment, nodes: list[Node]) -> Iterable[Node]:
        if not isinstance(segment, JSONPathRecursiveDescentSegment):
            return nodes
        return (inner for node in nodes for inner in self._descendants(node))

    def _descendants(self, node: Node) -> Iterator[Node]:
        waiting = [node]
        while waiting:
            node = waiting.pop()
            yield node
            containers = [child for child in self._children(node) if isinstance(child.value, (dict, list))]
            waiting.extend(reversed(containers))

    def _children(self, node: Node) -> list[Node]:
        value = node.value
        if not isinstance(value, (dict, list)):
            return []
        self._spend(len(value))
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [Node(child, key, node) for key, child in pairs]

    def _selected(self, selector: JSONPathSelector, node: Node) -> list[Node]:
        self._spend()
        if isinstance(selector, FilterSelector):
            return [child for child in self._children(node) if self._holds(selector.expression, child.value)]
        if isinstance(selector, WildcardSelector):
            return self._children(node)
        if isinstance(selector, NameSelector):
            return _named(node, selector.name)
        if not isinstance(node.value, list):
            return []
        indices = _indices(selector, len(node.value))
        self._spend(len(indices))
        return [Node(node.value[index], index, node) for index in indices]

    def _holds(self, expression: Expression, current: object) -> bool:
        self._spend()
        if isinstance(expression, FilterExpression):
            return self._holds(expression.expression, current)
        if isinstance(expression, PrefixExpression):  # RFC 9535 has no other than "!"
            return not self._holds(expression.right, current)
        if isinstance(expression, LogicalExpression):
            both = any if expression.operator == "||" else all
            return both(self._holds(side, current) for side in (expression.left, expression.right))
        if isinstance(expression, ComparisonExpression):
            left, right = (self._value(side, current) for side in (expression.left, expression.right))
            return self._compares(left, expression.operator, right)
        if isinstance(expression, FilterQuery):
            return bool(self._queried(expression, current))
        return self._value(expression, current) is True

    def _value(self, expression: Expression, current: object) -> object:
        self._spend()
        if isinstance(expression, FilterExpressionLiteral):
            return expression.value
        if isinstance(expression, FilterQuery):  # a singular one, or the parser had refused it
            return _only(self._queried(expression, current))
        if isinstance(expression, FunctionExtension):
            return self._function(expression, current)
        return self._holds(expression, current)

    def _queried(self, expression: Expression, current: object) -> list[Node]:
        if not isinstance(expression, FilterQuery):
            return []
        start = self._root if isinstance(expression, RootFilterQuery) else current
        return self.nodes(expression.query, Node(start))

    def _function(self, call: FunctionExtension, current: object) -> object:
        if call.name == "count":
            return len(self._queried(call.args[0], current))
        if call.name == "value":
            return _only(self._queried(call.args[0], current))
        arguments = [self._value(argument, current) for argument in call.args]
        if call.name == "length":
            sized = arguments[0]
            return len(sized) if isinstance(sized, (str, list, dict)) else _NOTHING
        return self._matches(call.name, *arguments)

    def _matches(self, name: str, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        self._spend(len(pattern) + _matching(pattern, len(text)) // _MATCHING_PER_STEP)
        return bool(_ENVIRONMENT.function_extensions[name](text, pattern))

    def _compares(self, left: object, operator: str, right: object) -> bool:
        if operator in {"==", "!="}:
            return self._equal(left, right) is (operator == "==")
        if operator in {">", ">="}:
            left, right = right, left
        return _less(left, right) or (operator in {"<=", ">="} and self._equal(left, right))

    def _equal(self, left: object, right: object) -> bool:
        self._spend(1 + len(left) // _TEXT_PER_STEP if isinstance(left, (str, list, dict)) else 1)
        if isinstance(left, bool) or isinstance(right, bool):  # 1 == True in Python alone
            return left is right
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(map(self._equal, left, right))
        if isinstance(left, dict) and isinstance(right, dict):
            same = left.keys() == right.keys()
            return same and all(self._equal(value, right[name]) for name, value in left.items())
        return left == right


def _named(node: Node, name: str) -> list[Node]:
    value = node.value
    return [Node(value[name], name, node)] if isinstance(value, dict) and name in value else []


def _indices(selector: JSONPathSelector, length: int) -> range:
    if isinstance(selector, SliceSelector):
        return range(*selector.slice.indices(length)) if selector.slice.step != 0 else range(0)
    if not isinstance(selector, IndexSelector):
        return range(0)
    index = selector.index + (length if selector.index < 0 else 0)
    return range(index, index + 1) if 0 <= index < length else range(0)


def _only(nodes: list[Node]) -> object:
    return nodes[0].value if len(nodes) == 1 else _NOTHING


def _less(left: object, right: object) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left < right
    return isinstance(left, str) and isinstance(right, str) and left < right


def _matching(pattern: str, length: int) -> int:
    """Return in how many ways a backtracking matcher may try a pattern on a text, or more.

    A pattern with k quantifiers divides a text in so many ways; one that repeats a group may try all.
    """
    choices = _CHOICES.findall(pattern)
    if len(pattern) > _LONGEST_PATTERN or len(choices) > _MOST_CHOICES:
        return STEPS * _MATCHING_PER_STEP
    if _QUANTIFIED_GROUP.search(pattern):
        return int(len(pattern) ** min(length + 2, _MOST_CHOICES))
    return comb(length + len(choices) + 1, len(choices) + 1) << choices.count("|")
