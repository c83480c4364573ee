"""Python objects of which LangChain's key holds the repr alone: what, if anything, tells them from others.

The law: two schemas of one name never share a key, and neither do two objects that show their class only. So
a class that cannot be found, or that an interactive session may have redefined since it was bound, has none.
"""

from __future__ import annotations

import re
import sys

from semcache_integrations.core.errors import UnkeyableError

ADDRESS = re.compile(r" ?\bat 0x[0-9a-fA-F]+")
_SHOWS_STATE = re.compile(r"=|: ")
_BUILT_IN = re.compile(r"<class '\w+'>|<built-in function \w+>")
_CODE = re.compile(r"<(?:function|bound method|code|lambda)\b")  # a name, and no word of what it does
_CLASS = re.compile(r"<class '([\w.<>]+)'>")


def class_name(text: str) -> str | None:
    """Return the dotted name in the repr of a class, or None if it is the repr of something else."""
    found = _CLASS.fullmatch(text)
    return found[1] if found else None


def find_class(name: str) -> type:
    """Return the pydantic model of that dotted name among the modules that are loaded.

    Raises:
        UnkeyableError: there is none, or it cannot be told whether it is the one that was meant.
    """
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:cut]))
        if module is None:
            continue
        if module.__name__ == "__main__" and not hasattr(module, "__file__"):
            break  # a notebook or a prompt: running a cell again makes another class of the same name
        found: object = module
        for part in parts[cut:]:
            found = getattr(found, part, None)
        if isinstance(found, type) and callable(getattr(found, "model_json_schema", None)):
            return found
    raise UnkeyableError(f"only the name of the class {name} is in LangChain's key, not its schema")


def telling(text: object, name: str) -> str:
    """Return the repr without its address, unless another object could have it.

    `<Tool name='weather' at 0x7f…>` and `<Color.RED: 1>` show what they are, `<Tool at 0x7f…>` and
    `<Tool>` do not; `<class 'app.Answer'>` is for `find_class`, alone or not at all.

    Raises:
        UnkeyableError: another object could have it.
    """
    shown = ADDRESS.sub("", text) if isinstance(text, str) else ""
    bare = shown.startswith("<") and not _SHOWS_STATE.search(shown) and not _BUILT_IN.fullmatch(shown)
    classes = "<class '" in shown and class_name(shown) is None
    if not shown or bare or classes or _CODE.search(shown):
        raise UnkeyableError(f"nothing tells the object given as {name!r} from others of its class")
    return shown
