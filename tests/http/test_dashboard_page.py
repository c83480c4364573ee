"""The dashboard's page in a real browser: what it shows, that it asks nobody else, and that callers' texts stay texts."""

from __future__ import annotations

import os
import re
import shutil

import httpx
import pytest
from doubles.dashboard import CHAT, happening, miss, proxy_with_dashboard
from doubles.http_questions import OTHER, QUESTION, REWORDED, chat

from semcache_integrations import SemanticCache
from semcache_integrations.http.dashboard import Recent
from semcache_integrations.testing import HashingEmbedder
from semcache_integrations.testing.serving import Serving

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
REQUIRED = os.environ.get("SEMCACHE_TEST_CHROMIUM") == "required"
if REQUIRED:
    from playwright import sync_api
else:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(
    BROWSER is None and not REQUIRED,
    reason="no chromium here; SEMCACHE_TEST_CHROMIUM=required makes this a failure",
)

FLAGS = (
    "--no-sandbox",  # which root needs
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TOKEN = "a token that nobody guesses"
EVIL = "<img src=x onerror=\"document.title='owned'\">"
WORSE = "</script><script>document.title='owned'</script>"
ROWS, ENTRIES = "#recent tr", "#top tr"


@pytest.fixture(scope="module")
def chromium():
    assert BROWSER is not None, "SEMCACHE_TEST_CHROMIUM=required, and no chromium is on the PATH"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def proxies(provider):
    """Return how to serve a proxy with a dashboard, and so with what it knows."""
    ends = []

    def serve(**more):
        cache = SemanticCache(embedder=HashingEmbedder(), similarity_threshold=0.75)
        served = Serving(proxy_with_dashboard(cache, provider, **more)[0], name="dashboard")
        served.start()
        ends.extend((served.close, cache.close))
        return served.origin

    yield serve
    for end in ends:
        end()


@pytest.fixture
def browse(chromium):
    """Return how to open a page; whatever it asked elsewhere, or complained of, fails the test."""
    contexts, strays, complaints = [], [], []

    def visit(origin, path="/admin", **settings):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: _note(strays, request.url, origin))
        page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(origin + path)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert (strays, complaints) == ([], [])


def _note(strays, url, origin):
    if not url.startswith((f"{origin}/admin", "data:image/svg+xml")):
        strays.append(url)


@pytest.fixture
def ask():
    """Return how to ask a proxy questions, over a connection that stays open."""
    with httpx.Client(timeout=30) as client:

        def asks(origin, *questions, **more):
            for question in questions:
                response = client.post(origin + CHAT, json=chat(question, **more))
            return response.headers

        yield asks


@pytest.fixture
def page(proxies, browse, ask):
    """The page of a proxy with real traffic: two hits and two misses."""
    origin = proxies()
    ask(origin, QUESTION, QUESTION, REWORDED, OTHER)
    opened = browse(origin)
    opened.locator(ROWS).nth(3).wait_for()
    return opened


def test_the_numbers_appear(page):
    for name, text in {
        "hit-rate": "50\u00a0%",
        "requests": "4",
        "requests-detail": "2 hits, 2 misses",
        "entries": "2",
        "top-title": "Top entries",
        "live-text": "live",
    }.items():
        sync_api.expect(page.locator(f"#{name}")).to_have_text(text)
    sync_api.expect(page.locator("#memory")).to_have_text(re.compile(r"\d+\u00a0[MG]B"))
    sync_api.expect(page.locator("#shares")).to_have_text(re.compile(r"hash 25\u00a0%\s*semantic 25\u00a0%"))
    sync_api.expect(page.locator("#latency tr")).to_have_count(2)
    sync_api.expect(page.locator("#saved")).not_to_have_text("0")
    sync_api.expect(page.locator(f"{ROWS} .question")).to_have_text([OTHER, REWORDED, QUESTION, QUESTION])
    sync_api.expect(page.locator(f"{ROWS} .badge")).to_have_text(["miss", "hit", "hit", "miss"])
    sync_api.expect(page.locator(f"{ENTRIES} .question")).to_have_text([QUESTION])
    assert page.locator("#rate-chart path.line").count() == 4
    assert page.locator("#time-chart path.line[d^=M]").count() == 4
    assert "all 50" in page.locator("#rate-chart svg[role=img]").get_attribute("aria-label")


def test_it_stays_up_to_date_until_it_is_paused(page, ask):
    origin = page.url.removesuffix("/admin")
    ask(origin, "a new question altogether")
    sync_api.expect(page.locator("#requests")).to_have_text("5")
    page.get_by_role("button", name="Pause").click()
    sync_api.expect(page.locator("#live-text")).to_have_text("paused")
    ask(origin, QUESTION)
    page.get_by_role("button", name="Pause").click()
    sync_api.expect(page.locator("#requests")).to_have_text("6")
    sync_api.expect(page.locator("#live-text")).to_have_text("live")


def test_search_and_status_filter_both_tables(page):
    page.get_by_role("searchbox").fill("SOURDOUGH")
    sync_api.expect(page.locator(f"{ROWS} .question")).to_have_text([OTHER])
    sync_api.expect(page.locator("#top-empty")).to_have_text("No entry matches.")
    page.get_by_role("searchbox").fill("capital")
    sync_api.expect(page.locator(ROWS)).to_have_count(3)
    sync_api.expect(page.locator(ENTRIES)).to_have_count(1)
    page.get_by_role("combobox", name="Status", exact=True).select_option("miss")
    sync_api.expect(page.locator(f"{ROWS} .badge")).to_have_text(["miss"])
    page.get_by_role("searchbox").fill("")
    sync_api.expect(page.locator(f"{ROWS} .question")).to_have_text([OTHER, QUESTION])


def test_deleting_asks_first_and_then_deletes(page, ask):
    origin = page.url.removesuffix("/admin")
    button = page.get_by_role("button", name=f"Delete the answer to: {QUESTION}")
    button.click()
    sync_api.expect(page.locator("#confirm-quote")).to_have_text(QUESTION)
    page.keyboard.press("Escape")
    sync_api.expect(page.locator("#confirm")).to_be_hidden()
    assert ask(origin, QUESTION)["x-cache-status"] == "hit"
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    sync_api.expect(page.locator("#note")).to_have_text("1 entry deleted")
    sync_api.expect(page.locator(ENTRIES)).to_have_count(0)
    sync_api.expect(page.locator("#entries")).to_have_text("1")
    assert ask(origin, QUESTION)["x-cache-status"] == "miss"


def test_deleting_all_of_a_model(page):
    page.get_by_role("combobox", name="Delete all entries by").select_option("model")
    page.get_by_role("textbox", name="Which one").fill("gpt-4o-mini")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    sync_api.expect(page.locator("#note")).to_have_text(re.compile(r"\d entries deleted"))
    sync_api.expect(page.locator("#entries")).to_have_text("0")


def test_a_row_keeps_its_focus_while_the_numbers_change(page, ask):
    origin = page.url.removesuffix("/admin")
    ask(origin, OTHER)
    mine = page.get_by_role("button", name=f"Delete the answer to: {OTHER}")
    mine.focus()
    ask(origin, OTHER, OTHER, OTHER)
    sync_api.expect(page.locator(f"{ENTRIES} .question")).to_have_text([OTHER, QUESTION])
    sync_api.expect(mine).to_be_focused()


def test_what_callers_wrote_is_text(proxies, browse, ask):
    origin = proxies()
    ask(origin, EVIL, EVIL, WORSE, WORSE, model=WORSE)
    page = browse(origin)
    sync_api.expect(page.locator(f"{ENTRIES} .question")).to_have_text([WORSE, EVIL])
    sync_api.expect(page.locator(f"{ROWS} .question")).to_have_text([WORSE, WORSE, EVIL, EVIL])
    sync_api.expect(page.locator(f"{ROWS} .model").first).to_have_text(WORSE)
    page.get_by_role("searchbox").fill("<img")
    sync_api.expect(page.locator(ROWS)).to_have_count(2)
    page.get_by_role("button", name=f"Delete the answer to: {EVIL}", exact=True).click()
    sync_api.expect(page.locator("#confirm-quote")).to_have_text(EVIL)
    assert page.title() == "semcache"
    assert (page.locator("img").count(), page.locator("script").count()) == (0, 1)


def test_every_text_field_of_a_happening_is_text(proxies, browse):
    recent = Recent()
    names = ("method", "path", "host", "model", "tenant", "question", "status", "tier", "reason", "entry_id")
    recent(miss(**dict.fromkeys(names, EVIL)))
    recent(miss(**dict.fromkeys(names, WORSE) | {"question": ""}))
    recent(happening(**dict.fromkeys(set(names) - {"status", "tier"}, EVIL)))
    page = browse(proxies(recent=recent))
    sync_api.expect(page.locator(f"{ROWS} .badge")).to_have_text(["hit", "other", "other"])
    sync_api.expect(page.locator(f"{ROWS} .reason")).to_have_text([EVIL, WORSE, EVIL])
    sync_api.expect(page.locator(f"{ENTRIES} .tenant")).to_have_text([EVIL])
    assert page.title() == "semcache"
    assert page.locator("img").count() == 0


@pytest.mark.parametrize(
    "attempt",
    [
        "document.body.innerHTML = '<b>'",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 1'}))",
    ],
)
def test_the_policy_stops_what_the_page_itself_would_do_wrong(proxies, chromium, attempt):
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{proxies()}/admin")
        with pytest.raises(sync_api.Error, match=r"Trusted(?:HTML|Script)"):
            page.evaluate(attempt)
        assert page.title() == "semcache"


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(244, 246, 248)"), ("dark", "rgb(13, 17, 23)")])
def test_it_is_light_or_dark_as_the_system_is(proxies, browse, scheme, ground):
    page = browse(proxies(), color_scheme=scheme)
    sync_api.expect(page.locator("#recent-empty")).to_have_text(re.compile("No requests yet"))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_of_a_narrow_screen(proxies, browse, width):
    recent = Recent()
    for number in range(30):
        long = "unbroken" * 60
        recent(
            happening(
                entry_id=f"{number}", question=long, model=long, tenant=long, tier="semantic", similarity=0.9
            )
        )
        recent(miss(question="", path=long, reason=long))
    page = browse(proxies(recent=recent), viewport={"width": width, "height": 800})
    page.locator(ROWS).nth(30).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_who_wants_no_motion_gets_none(proxies, browse):
    moving = "getComputedStyle(document.querySelector('.dot')).animationName"
    origin = proxies()
    for wish, name in (("reduce", "none"), ("no-preference", "pulse")):
        page = browse(origin, reduced_motion=wish)
        sync_api.expect(page.locator("#live-text")).to_have_text("live")
        assert page.evaluate(moving) == name


def test_the_charts_tell_the_numbers_under_the_pointer(page):
    chart = page.locator("#rate-chart")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 15, box["y"] + 60)
    sync_api.expect(chart.locator(".tip")).to_contain_text("all")
    sync_api.expect(chart.locator(".tip b").first).to_have_text("50\u00a0%")
    page.mouse.move(5, 5)
    sync_api.expect(chart.locator(".tip")).to_be_hidden()


def test_everything_to_press_or_fill_in_has_a_name_and_is_reached_by_keyboard(page):
    unnamed = """() => [...document.querySelectorAll('button, input, select')].filter((one) =>
        one.checkVisibility() && !(one.getAttribute('aria-label') || one.labels?.[0]?.textContent.trim() || one.textContent.trim()))
        .map((one) => one.id)"""
    assert page.evaluate(unnamed) == []
    reached = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.name || document.activeElement.tagName"
            )
        )
    assert {"pause", "span", "search", "status", "purge-by", "purge-what", "BUTTON"} <= reached


def test_logging_in_and_out(proxies, browse):
    origin = proxies(token=TOKEN)
    page = browse(origin)
    assert page.url == f"{origin}/admin/login"
    page.get_by_label("Admin token").fill(TOKEN)
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#live-text")).to_have_text("live")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("combobox", name="Delete all entries by").select_option("tag")
    page.get_by_role("textbox", name="Which one").fill("docs")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    sync_api.expect(page.locator("#note")).to_have_text("There was nothing to delete")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/admin/login")


def test_a_proxy_that_is_gone_is_said_to_be(proxies, chromium, provider):
    cache = SemanticCache(embedder=HashingEmbedder())
    served = Serving(proxy_with_dashboard(cache, provider)[0], name="dashboard")
    served.start()
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{served.origin}/admin")
    sync_api.expect(page.locator("#live-text")).to_have_text("live")
    served.close()
    cache.close()
    sync_api.expect(page.locator("#live-text")).to_have_text("no answer, trying again", timeout=20_000)
    context.close()
