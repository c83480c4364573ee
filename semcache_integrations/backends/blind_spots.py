"""Where is a text encoder blind? Decides from a text's tokens alone; loads nothing, embeds nothing.

To an encoder two texts that differ only in what it cannot see are one text, with similarity 1.0 that no
threshold can catch. Three such places can be told from the tokens: what lies beyond the window, what the
vocabulary does not know, and words of a script that it only knows letter by letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_FRAGMENT_SHARE: Final = 0.1
"""Share of a text's tokens that may be single letters of a script without words in the vocabulary.

Measured with MiniLM: 0 in 23,000 English questions, 0.7-1.0 in Russian, Greek, Arabic, Hebrew, Hindi and
Korean sentences, whose different sentences reach a similarity of 0.95 one time in ten.
"""

MIN_NON_ASCII_VOCABULARY: Final = 0.2
"""Share of non-ASCII tokens from which a vocabulary counts as made for other scripts too.

English BERT has 0.06, all of them single characters; multilingual and Chinese vocabularies have over 0.4.
"""

CHARACTERS_PER_TOKEN: Final = 32
"""A text with more characters than this for each token of the window is refused before it is tokenised.

English has 4 to 5 characters a token. Only padding or one endless word passes 32, and neither is a question.
"""


def knows_other_scripts(vocabulary: Iterable[str]) -> bool:
    """Whether words of other scripts than the Latin one are more than letter sequences to this vocabulary."""
    tokens = [token.lstrip("#▁Ġ") for token in vocabulary]
    return sum(not token.isascii() for token in tokens) >= MIN_NON_ASCII_VOCABULARY * len(tokens)


@dataclass(frozen=True, slots=True)
class BlindSpots:
    """What one encoder cannot see.

    Attributes:
        max_tokens: The window, special tokens included.
        unknown_id: The token that stands for everything outside the vocabulary; None if there is no such.
        fragments_matter: False for a vocabulary made for many scripts, where a single letter is a word.
    """

    max_tokens: int
    unknown_id: int | None
    fragments_matter: bool

    def too_long(self, text: str) -> bool:
        """Whether `text` is so long that tokenising it would be a waste."""
        return len(text) > CHARACTERS_PER_TOKEN * self.max_tokens

    def hide(self, text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> bool:
        """Whether the encoder misses a part of `text` that could change its meaning.

        One unknown token is enough: it may be the word that the question is about.

        Args:
            text: What was tokenised.
            ids: Its tokens, special ones included, without truncation.
            offsets: For each of them the characters of `text` that it covers, as start and end; not read if
                `text` is ASCII.
        """
        if len(ids) > self.max_tokens or self.unknown_id in ids:
            return True
        return self.fragments_matter and not text.isascii() and is_fragmented(text, offsets)


def is_fragmented(text: str, offsets: Sequence[tuple[int, int]]) -> bool:
    """Whether more than `MAX_FRAGMENT_SHARE` of the tokens are neighbouring single non-ASCII letters.

    A letter on its own (the Greek π in a formula, the ß of a German word) is no fragment.
    """
    letters = [_is_foreign_letter(text[start:end]) for start, end in offsets]
    neighbours = zip([False, *letters], letters, [*letters[1:], False], strict=False)
    fragments = sum(letter and (before or after) for before, letter, after in neighbours)
    return fragments > MAX_FRAGMENT_SHARE * len(offsets)


def _is_foreign_letter(piece: str) -> bool:
    return len(piece) == 1 and not piece.isascii() and piece.isalpha()
