"""Pages in a real browser: Debian's chromium, driven by playwright."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tailwise.compare.comparison import compare_grid
from tailwise.report.against import OtherRun
from tailwise.report.diagnosis_page import diagnosis_page
from tailwise.report.explained_page import explained_page
from test_compare import made_up, page_of
from test_depth import page_of_maps
from test_importance import explanation
from test_report import DIAL, FOUND, HELD, MAP, PRED, page
from test_shap_values import explained_values
from test_tune import TestPage as SearchPage

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent: apt-get install chromium"),
]

PAGES = {
    "run": lambda: page(
        levels=HELD,
        features=MAP,
        coverage=HELD[0.9],
        other=OtherRun("vanilla", PRED + 3, "first"),
        trade_off=DIAL,
    ),
    "diagnosis": lambda: diagnosis_page(FOUND, "toy.csv"),
    "comparison": lambda: page_of(
        compare_grid(made_up({"sqinv": -5.0, "inv": 5.0}, tables=("one", "two", "three")), "mlp vanilla"),
        "A comparison",
    ),
    "explanation": lambda: explained_page(
        explanation(), title="y: which rows are wrong", rows="the rows of t.csv", shap=explained_values()
    ),
    "search": lambda: SearchPage().page(SearchPage.TRIALS, 3),
    "maps": page_of_maps,
}
CHARTS = {"run": 10, "diagnosis": 3, "comparison": 4, "explanation": 2, "search": 2, "maps": 1}
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, made in PAGES.items():
        (folder / f"{name}.html").write_text(made(), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.fixture
def view(browser, files):
    """A function that opens a page; what it logged and asked for is looked at when the test ends."""
    contexts, logged, asked = [], [], []

    def opened(name, **context):
        contexts.append(browser.new_context(**{"viewport": DESK, **context}))
        shown = contexts[-1].new_page()
        shown.on("console", lambda message: logged.append(f"{message.type}: {message.text}"))
        shown.on("pageerror", lambda error: logged.append(str(error)))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(files[name].as_uri())
        return shown

    yield opened
    for context in contexts:
        context.close()
    assert logged == []
    assert set(asked) <= {file.as_uri() for file in files.values()}


def run_chart(shown, title):
    return shown.locator("figure", has=shown.get_by_role("heading", name=title, exact=True)).locator("svg")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_renders_and_axe_finds_nothing_serious(view, name, scheme, size):
    shown = view(name, color_scheme=scheme, viewport=size)
    boxes = [chart.bounding_box() for chart in shown.locator("figure svg").all()]
    assert len(boxes) >= CHARTS[name]
    assert all(box["width"] > 250 and box["height"] > 50 for box in boxes)
    outside = [chart.bounding_box() for chart in shown.locator("figure svg:not(.scroll svg)").all()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= size["width"] for box in outside)
    assert shown.evaluate("document.documentElement.scrollWidth") <= size["width"]
    paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    found = Axe().run(shown).response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:80]) for fault in found if fault["impact"] in GRAVE] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_what_covers_the_shade_of_wide_tables_has_the_colour_under_them(view, name, scheme):
    shown = view(name, color_scheme=scheme)
    pairs = shown.evaluate("""() => [...document.querySelectorAll('.scroll')].map(box => {
      let under = box.parentElement;
      while (getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)') under = under.parentElement;
      return [getComputedStyle(box).backgroundImage, getComputedStyle(under).backgroundColor];
    })""")
    assert pairs
    assert [pair for pair in pairs if pair[1] not in pair[0]] == []


def test_the_slider_moves_the_table_and_both_charts(view):
    shown = view("run")
    slider = shown.get_by_role("slider", name="Balance")
    slider.focus()
    at = {}
    for key in ("Home", "End"):
        slider.press(key)
        chosen = shown.locator("tr.chosen").get_attribute("data-balance")
        line = shown.locator("[data-draw=errors] polyline:not(.first)").get_attribute("points")
        point = shown.locator("[data-draw=scatter] circle").first.get_attribute("cy")
        at[key] = (chosen, slider.get_attribute("aria-valuetext"), line, point)
    assert [at[key][:2] for key in at] == [("0", "balance 0"), ("1", "balance 1")]
    assert at["Home"][2] != at["End"][2]
    assert at["Home"][3] != at["End"][3]


def test_the_axes_of_both_charts_have_round_numbers(view):
    shown = view("run")
    for place in ("errors", "scatter"):
        labels = [float(one.replace(",", "")) for one in shown.locator(f"[data-draw={place}] text").all_text_contents()]
        assert 6 <= len(labels) <= 12
        digits = {f"{abs(label):e}".rstrip("0").partition("e")[0].rstrip("0") for label in labels}
        assert all(len(one.replace(".", "")) <= 3 for one in digits), labels


def test_without_scripts_the_dial_is_a_table(view):
    shown = view("run", java_script_enabled=False)
    assert shown.locator(".dial").is_hidden()
    assert shown.locator("tr[data-balance]").count() == len(DIAL.points)


def test_the_change_between_two_runs_is_seen_on_a_phone(view):
    shown = view("run", viewport=PHONE)
    table = shown.get_by_role("region", name="Both runs by region")
    for cell in table.locator("tbody td:nth-child(2)").all():
        box = cell.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]


def test_letters_can_be_read_on_a_phone(view):
    shown = view("run", viewport=PHONE)
    heights = shown.evaluate("[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)")
    assert min(heights) > 9
    shown = view("diagnosis", viewport=PHONE)
    wide = shown.evaluate("[...document.querySelectorAll('.scroll')].filter(b => b.scrollWidth > b.clientWidth).length")
    assert wide > 0
    assert shown.evaluate("[...document.querySelectorAll('.scroll')].every(b => b.tabIndex === 0)")


@pytest.mark.parametrize("title", ["Size of the errors", "Predicted against true", "Similarity of the features"])
def test_the_pointer_shows_a_value(view, title):
    shown = view("run")
    tip, chart = shown.locator("#tip"), run_chart(shown, title)
    assert tip.is_hidden()
    places = chart.evaluate("svg => JSON.parse(svg.dataset.tips)")
    x, y, text = places[len(places) // 3]
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    wide, high = (float(end) for end in chart.get_attribute("viewBox").split()[2:])
    shown.mouse.move(box["x"] + x * box["width"] / wide, box["y"] + y * box["height"] / high)
    assert tip.inner_text() == text
    at = tip.bounding_box()
    assert at["x"] >= 0
    assert at["x"] + at["width"] <= DESK["width"]
    shown.mouse.move(1, 1)
    assert tip.is_hidden()


def test_the_keyboard_shows_values(view):
    shown = view("run")
    tip, chart = shown.locator("#tip"), run_chart(shown, "Training rows")
    texts = [text for _, _, text in chart.evaluate("svg => JSON.parse(svg.dataset.tips)")]
    shown.keyboard.press("Tab")
    chart.focus()
    for key, expected in (("Home", texts[0]), ("ArrowRight", texts[1]), ("End", texts[-1]), ("ArrowLeft", texts[-2])):
        shown.keyboard.press(key)
        assert tip.inner_text() == expected
    shown.keyboard.press("Escape")
    assert tip.is_hidden()


def test_the_first_stop_of_the_keyboard_skips_to_the_content(view):
    shown = view("run")
    shown.keyboard.press("Tab")
    link = shown.get_by_role("link", name="Skip to the content")
    assert link.bounding_box()["x"] >= 0
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.id") == "main"


def test_tables_are_sorted(view):
    shown = view("run")
    table = shown.get_by_role("region", name="Errors by region", exact=True).locator("table")
    head = table.get_by_role("columnheader", name="RMSE")

    def values():
        texts = table.locator("tbody tr td:nth-child(4)").evaluate_all(
            "cells => cells.map(c => c.firstChild.textContent)"
        )
        return [float(text.replace(",", "")) for text in texts if text != "–"]

    head.get_by_role("button").click()
    assert values() == sorted(values())
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").press("Enter")
    assert values() == sorted(values(), reverse=True)
    table.get_by_role("columnheader", name="Region").get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    rows = table.locator("tbody th").all_inner_texts()
    assert rows == sorted(rows)


@pytest.mark.parametrize("name", PAGES)
def test_scripts_are_not_needed(view, name):
    shown = view(name, java_script_enabled=False)
    assert shown.locator("#tip").count() == 0
    charts = shown.locator("figure svg").all()
    assert len(charts) >= CHARTS[name]
    assert all(chart.bounding_box()["height"] > 50 for chart in charts)
    assert shown.locator("tbody td").count() > 10
    assert shown.get_by_role("img").count() >= CHARTS[name]


def test_a_command_is_copied(view):
    shown = view("diagnosis")
    button = shown.get_by_role("button", name="Copy").first
    shown.evaluate("() => { navigator.clipboard.writeText = (text) => { window.copied = text } }")
    button.click()
    assert shown.evaluate("window.copied") == FOUND.advice[0].commands[0]
    shown.evaluate("() => { navigator.clipboard.writeText = () => { throw new Error('closed') } }")
    shown.get_by_role("button", name="Copy").first.click()
    assert str(shown.evaluate("getSelection().toString()")).strip().startswith("tailwise ")
    bare = view("diagnosis", java_script_enabled=False)
    assert bare.locator("pre").first.inner_text() == FOUND.advice[0].commands[0]
    assert bare.get_by_role("button").count() == 0


def test_prints_dark_on_white(view):
    shown = view("run", color_scheme="dark")
    shown.emulate_media(media="print", color_scheme="dark")
    colors = shown.evaluate("(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))")
    assert colors == ["rgb(27, 29, 34)", "rgb(255, 255, 255)"]
    assert len(shown.pdf(format="A4")) > 10_000
