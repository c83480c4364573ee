"""Staleness, from both sides: what may be wrong soon, and its neighbours that stay true for ever."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.phrases import Phrases, clause_of
from semcache_integrations.core.staleness import time_sensitivity

VOLATILE = [
    "What is the weather in Paris right now?",
    "What is the current price of Bitcoin?",
    "Is the pharmacy open now?",
    "What time is it?",
    "What time is it in Tokyo?",
    "live score of the Lakers game",
    "Show me the latest news about Tesla",
    "latest version of Python",
    "What's today's date?",
    "Who is currently the president of France?",
    "What is happening in Ukraine at the moment?",
    "as of today, how many members does the EU have?",
    "breaking news",
    "What is on TV tonight?",
    "Will it rain tomorrow?",
    "What are the current exchange rates?",
    "Who won last night's game?",
    "How many days until Christmas?",
    "What's trending on Twitter?",
    "I need to know if the bank is open today",
    "What is the current time in New York?",
    "Is it raining in London?",
    "What day is it?",
    "present exchange rate between usd and gbp",
    "Now what time is it?",
    "Who is the current US president?",
    "What's the temperature outside now",
    "WHAT IS THE LATEST IPHONE",
    "most recent earthquake in Japan",
    "live traffic on the A9",
    "¿Qué tiempo hace hoy en Madrid?",
    "Wie ist das Wetter heute in Berlin?",
    "Quelle est la météo aujourd’hui ?",  # noqa: RUF001 - typographic apostrophes are common
    "Che ore sono adesso?",
    "Qual é a cotação do dólar hoje?",
    "Какая сегодня погода?",
    "what is happening this week in Rome",
    "Who's winning?",
    "EUR/USD today",
    "flights to Rome tomorrow",
    "Give me a summary of today's news",
]

PERISHABLE = [
    "price of Bitcoin",
    "What is the price of Bitcoin?",
    "bitcoin price",
    "Who is the president of France?",
    "who's the prime minister of Japan",
    "president of France",
    "Who is the CEO of Apple?",
    "apple ceo",
    "weather in Paris",
    "What's the weather like in Paris?",
    "paris weather",
    "exchange rate of the euro to the dollar",
    "What is the exchange rate between USD and EUR?",
    "Convert 100 USD to EUR",
    "How old is Tom Hanks?",
    "population of India",
    "How many people live in Brazil?",
    "What is Tesla's stock price?",
    "What is my balance?",
    "Show me my account balance",
    "How is the traffic on the A9?",
    "is there traffic on I-95",
    "score of the Lakers game",
    "Who won the Super Bowl?",
    "Who is the heavyweight champion of the world?",
    "Is the PS5 in stock?",
    "Who is the richest person in the world?",
    "How much does a Tesla Model 3 cost?",
    "Where is my order?",
    "What is on my calendar?",
    "net worth of Jeff Bezos",
    "When is the next election?",
    "Is Queen Elizabeth still alive?",
    "inflation rate in Germany",
    "mortgage rates",
    "Should I buy Apple stock?",
    "How much is gold worth?",
    "How hot is it in Dubai?",
    "gas prices in Texas",
    "what is the status of order 48120?",
    "Who is the king of Spain?",
    "gold price",
    "How long is the wait at Chipotle?",
    "track my package",
    "How many subscribers does MrBeast have?",
    "what is the temperature in Oslo",
    "Precio del bitcoin",
    "Wer ist der Präsident von Frankreich?",
    "Quel est le prix du pétrole ?",
    "Who is president?",
    "weather",
    "BTC price?",
    "EUR/USD",
    "is milk still good after a week?",
    "what time does the sun set?",
]

LASTING = [
    "What is the capital of France?",
    "Did you know that?",
    "How do I know it is love?",
    "How much snow fell on Everest in 1996?",
    "nowhere man lyrics",
    "How do you cure olives?",
    "Do cats have nine lives?",
    "delivery address format",
    "Where do lions live in Africa?",
    "Where does Tom Hanks live in the film Big?",
    "What is alternating current?",
    "Explain ocean currents",
    "How does an ocean current form?",
    "Does current flow from plus to minus?",
    "current ratio definition",
    "What is a good current ratio?",
    "How do I open a current account?",
    "What is the current through a 5 ohm resistor?",
    "What currency is used in Japan?",
    "Lately I feel tired",
    "Now that I have a mortgage, how do I pay it off?",
    "By now I had expected a reply",
    "Until now it worked",
    "How do I make chicken stock?",
    "recipe for soup stock",
    "What is livestock?",
    "How do I read a musical score?",
    "Who was the president in 1960?",
    "Who was the first president of the USA?",
    "Who is the first president of the United States?",
    "Who is the president in the movie Independence Day?",
    "How did they weather the storm?",
    "Can the company weather this crisis?",
    "How does live streaming work?",
    "What is a live oak?",
    "How do I go live on Instagram?",
    "live and let live",
    "price of Bitcoin in 2019",
    "Bitcoin price 2019",
    "population of India in 1950",
    "Explain how weather forms",
    "How does weather forecasting work?",
    "How is the exchange rate determined?",
    "What causes traffic jams?",
    "How are stock prices determined?",
    "What is the difference between weather and climate?",
    "Who wrote Yesterday by the Beatles?",
    'What does "right now" mean?',
    "How do you say 'what time is it' in Spanish?",
    'Translate "the current price" to French',
    "define nowadays",
    "synonym for current",
    "What does currently mean?",
    "Write a Python function that returns the current time",
    "How do I get the current date in JavaScript?",
    "Write a poem about today",
    "What is the population of a sample?",
    "How old is the universe?",
    "How old was Mozart when he died?",
    "How do I check my balance?",
    "Summarise the plot of Apocalypse Now",
    "Who sang Tonight Tonight?",
    "What is a score in music?",
    "What is a stock?",
    "How is a president elected?",
    "What powers does a president have?",
    "Is OpenAI open source?",
    "What is the price elasticity of demand?",
    "What is latency?",
    "I lost my card yesterday and need a new one",
    "I paid with my card today, but the payment failed",
    "My transfer was declined this morning",
    "At the latest, when must I file?",
    "What is the latest I can check out?",
    "web traffic analytics",
    "How do traffic lights work?",
    "Why do stars twinkle?",
    "What is electric current?",
    "What is a direct current motor?",
    "What is the speed of light?",
    "what is the weather in Rome in July",
    "Who won the World Cup in 2018?",
    "Who won the Battle of Hastings?",
    "the 2018 world cup winner",
    "What is today in Italian?",
    "¿Cuál es la capital de Francia?",
    "Wo leben Löwen?",
    "Was ist Strom?",
    "Qu'est-ce que le courant alternatif ?",
    "东京的天气怎么样",
    "What is 100 degrees Celsius in Fahrenheit?",
    "Is the interval (0, 1) open?",
    "How do I invest in stock markets?",
    "What is the price of freedom?",
    "Who is the author of Dune?",
    "What are the opening lines of Hamlet?",
    "How do I install the PostgreSQL server on Ubuntu?",
    "ServiceNow pricing tiers explained",
    "In the novel 1984, who is the leader of the Party?",
    "Thank you for now",
    "What should I do now?",
    "Summarize this: the weather in Paris is nice today",
    "rewrite: the price of bitcoin is falling now",
    "Please classify the following tweet: breaking news, gold price at a record",
    "Give me five tips to deliver the news gently",
    "What is the time complexity of quicksort?",
    "What is the time value of money?",
    "currant jam recipe",
    "time zone of Tokyo",
    "What does CEO stand for?",
    "",
    "   ",
    "?!",
    "\ud800",
]

ROWS = [
    *[(text, "volatile") for text in VOLATILE],
    *[(text, "perishable") for text in PERISHABLE],
    *[(text, "") for text in LASTING],
]
WORDS = sorted({word for text, _ in ROWS for word in text.split()})
texts = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join),
    st.sampled_from([text for text, _ in ROWS]),
)


@pytest.mark.parametrize(("text", "expected"), ROWS, ids=ascii)
def test_a_question_is_as_time_sensitive_as_its_words_say(text, expected):
    assert time_sensitivity(text) == expected


@given(texts)
def test_every_text_has_an_answer(text):
    assert time_sensitivity(text) in ("", "volatile", "perishable")


@given(texts, st.sampled_from([str.upper, str.lower, str.title, str.swapcase, str.capitalize]))
def test_letter_case_makes_no_difference(text, cased):
    variant = cased(text)
    assume(_fold(text) == _fold(variant))
    assert time_sensitivity(variant) == time_sensitivity(text)


@given(
    texts,
    st.sampled_from([" ", "\n", "\t ", "  \r\n", "\u00a0"]),
    st.sampled_from(["", "?", "!", ".", "...", " ?!", "\u3002"]),
)
def test_white_space_and_closing_punctuation_make_no_difference(text, space, end):
    variant = space + space.join(text.split()) + end + space
    assert time_sensitivity(variant) == time_sensitivity(text)


@given(texts, st.sampled_from(["NFC", "NFD"]))
def test_the_unicode_form_makes_no_difference(text, form):
    assert time_sensitivity(unicodedata.normalize(form, text)) == time_sensitivity(text)


@pytest.mark.parametrize("word", ["now", "today", "latest", "current", "live", "weather", "price"])
@pytest.mark.parametrize("joined", ["k{}", "{}here", "o{}", "{}x", "s{}y"])
def test_a_word_inside_another_word_says_nothing(word, joined):
    assert time_sensitivity(f"explain {joined.format(word)} to me") == ""


def test_a_question_at_either_end_of_a_long_text_is_seen_and_the_material_between_is_not():
    material = "The weather in Paris is nice today and the latest news is good. "
    filler = "Lorem ipsum dolor sit amet. " * 40
    assert time_sensitivity("What is the price of gold? " + filler) == "perishable"
    assert time_sensitivity(filler + "What is the price of gold?") == "perishable"
    assert time_sensitivity(filler + material + filler) == ""


def test_a_huge_text_is_judged_by_its_ends():
    assert time_sensitivity("word " * 500_000 + "what time is it") == "volatile"
    assert time_sensitivity("x" * 5_000_000) == ""
    assert time_sensitivity("now" * 100_000) == ""


def test_every_phrase_can_be_read_and_says_something():
    """A gap at an end would say nothing, and a phrase without a word would stand everywhere."""
    for line in lexicon.lines("staleness"):
        kind, colon, phrases = line.partition(":")
        assert colon
        assert kind in {"except", "about_words", "now", "moment", "statement", "wish", "settled", "changing"}
        for phrase in phrases.split("|"):
            steps = phrase.split()
            assert steps, line
            assert steps[0] not in ("..", "~", "$"), phrase
            assert steps[-1] not in ("..", "~", "^"), phrase
            assert any(step[0] not in ".~^$(" for step in steps), phrase
            Phrases([phrase], lexicon.named("staleness_words"))


PHRASES = [
    ("a b", "x a b y", True),
    ("a b", "a x b", False),
    ("a/c b", "c b", True),
    ("a (x) b", "a b", True),
    ("a (x) b", "a x b", True),
    ("a (x) b", "a y b", False),
    ("a .. b", "a 1 2 3 b", True),
    ("a .. b", "a 1 2 3 4 b", False),
    ("a ~ b", "a big old b", True),
    ("a ~ b", "a of b", False),
    ("^ a", "a b", True),
    ("^ a", "b a", False),
    ("a $", "b a", True),
    ("a $", "a b", False),
    ("the <pet>", "the dog", True),
    ("the <pet>", "the car", False),
    ("in <year>", "in 1969", True),
    ("in <year>", "in 196", False),
    ("in <year>", "in 3000", False),
    ("(big) <pet>", "cat", True),
]


@pytest.mark.parametrize(("phrase", "text", "stands"), PHRASES)
def test_a_phrase_stands_where_its_steps_can_be_taken(phrase, text, stands):
    assert Phrases([phrase], {"pet": ("dog", "cat")}).stand_in(clause_of(text.split())) is stands


def _fold(text: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
