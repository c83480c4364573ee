"""Where the encoder is blind it says so, and ordinary questions are not refused. With MiniLM's own tokenizer."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from semcache_integrations.backends.blind_spots import BlindSpots, knows_other_scripts

pytestmark = pytest.mark.model

SEEN = [
    "How do I reset my password?",
    "What is the capital of France?",
    "what's 2 + 2 * 10 / 5?",
    "Explain `def parse_args(argv: list[str]) -> Namespace:` to me",
    "SELECT id, name FROM users WHERE age >= 21 ORDER BY name DESC LIMIT 10;",
    "for (int i = 0; i < n; ++i) { a[i] = b[i] ^ c[i]; }",
    "git rebase --interactive HEAD~3 && git push --force-with-lease",
    "Why does my_snake_case_variable differ from myCamelCaseVariable?",
    "https://example.org/path/to/page?query=1&lang=en returns 404",
    "Wie heißt die längste Straße in München, und wo fängt sie an?",
    "Können Sie mir erklären, was Größenänderung bedeutet?",
    "Où est né l'écrivain français préféré de ta mère, et pourquoi ?",
    "L'œuvre d'art de l'été dernier était-elle à Orléans ?",
    "¿Cuál es la mejor época del año para visitar España?",
    "What is π, and how do α and β particles differ?",  # noqa: RUF001 - Greek letters are the point
    "How much is €20 in £, at 5 °C?",
    "Who were Dvořák, Łukasiewicz and Gödel?",
    "“Smart quotes” — and an em dash… are fine",
    "x",
    "ok",
    "Is a naïve façade déjà vu?",
    "a 37-year-old man, BP 120/80, HbA1c 6.5 %",
]

HIDDEN = [
    "如何重置我的密码?",
    "你是谁",
    "東京の天気はどうですか",
    "Как приготовить борщ?",
    "Где находится Эйфелева башня",
    "Πώς είσαι σήμερα;",
    "สวัสดีครับ วันนี้อากาศเป็นอย่างไร",
    "안녕하세요 오늘 날씨 어때요",
    "مرحبا كيف حالك",
    "שלום מה שלומך",
    "नमस्ते आप कैसे हैं",
    "Translate 'спасибо' into English",
    "Translate 'привет' into English",
    "What does 你好 mean?",
    "What does the emoji 🍆 stand for when it is sent in a private message to a friend of mine?",
    "decode " + "QUJD" * 30,
]


@pytest.fixture(scope="module")
def tokenizer(minilm) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(minilm.folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="module")
def hide(tokenizer):
    spots = BlindSpots(max_tokens=256, unknown_id=tokenizer.token_to_id("[UNK]"), fragments_matter=True)

    def hides(text: str) -> bool:
        encoding = tokenizer.encode(text)
        return spots.hide(text, encoding.ids, encoding.offsets)

    return hides


@pytest.mark.parametrize("text", SEEN)
def test_ordinary_text_code_and_western_languages_are_seen(hide, text):
    assert not hide(text)


@pytest.mark.parametrize("text", HIDDEN)
def test_unknown_tokens_and_fragmented_scripts_are_hidden(hide, text):
    assert hide(text)


def test_the_window_counts_every_token_and_is_inclusive(hide):
    assert not hide("word " * 254)
    assert hide("word " * 255)


def test_padding_beyond_any_question_is_refused_before_it_is_tokenised():
    spots = BlindSpots(max_tokens=10, unknown_id=None, fragments_matter=True)
    assert not spots.too_long("x" * 320)
    assert spots.too_long("x" * 321)


def test_a_vocabulary_of_many_scripts_is_recognised(tokenizer):
    assert not knows_other_scripts(tokenizer.get_vocab())
    assert knows_other_scripts(["▁the", "▁как", "▁你好", "▁ein"])
    assert not knows_other_scripts(["▁the", "Ġof", "##ing", "a", "b", "c"])


def test_letters_of_a_vocabulary_made_for_them_are_no_fragments(tokenizer):
    text = "Как дела"
    encoding = tokenizer.encode(text)
    assert not BlindSpots(256, None, fragments_matter=False).hide(text, encoding.ids, encoding.offsets)
    assert BlindSpots(256, None, fragments_matter=True).hide(text, encoding.ids, encoding.offsets)
