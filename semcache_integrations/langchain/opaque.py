"""What has no stable form inside LangChain's strings: Python objects, classes, memory addresses.

The law: an object is keyed by the state that its repr shows; one that shows none makes its request
unkeyable, which the engine counts as such. No LangChain in here, and nothing is ever instantiated.
"""

from __future__ import annotations

import re
from typing import NoReturn

from semcache_integrations.core.errors import UnkeyableError

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Unkeyable:
    """Stands in a request where a value has no canonical form, and says why once the engine keys it."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def model_dump(self) -> NoReturn:
        """Refuse; this is what `core.keys.canonical` asks an unfamiliar value for."""
        raise UnkeyableError(self.reason)


def form_of_repr(shown: str) -> object:
    """Return the keyable form of a `<…>` repr: the state that it shows, without its address.

    `<class 'app.Answer'>` shows a name only, and two schemas may share it; `<Tool at 0x7f…>` shows an
    identity only; `<Tool name=weather at 0x7f…>` shows what it is.
    """
    stripped = ADDRESS.sub("", shown)
    if shown.startswith("<class ") or "=" not in stripped:
        return Unkeyable("a parameter is a Python object that LangChain shows by its name only")
    return stripped


def without_objects(value: object) -> object:
    """Return LangChain's serialised form with secrets gone and objects in their keyable form."""
    if isinstance(value, list):
        return [without_objects(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("lc") == 1:
        if value.get("type") == "secret":
            return None
        if value.get("type") == "not_implemented":
            return form_of_repr(str(value.get("repr", "")))
    return {name: without_objects(item) for name, item in value.items()}
