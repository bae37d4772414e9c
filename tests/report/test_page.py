"""The page in a real browser: it draws, sorts, changes its theme, saves, prints, opens fast, and asks for nothing."""

import os
import shutil
import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from claims import JUDGED, answers, claim, sample
from shown import KEPT, records_of

from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import rows_of
from variate.records.schema import Example, NetworkLine, RunLine
from variate.report.figures import figures
from variate.report.page import write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")
RESULTS = Path(__file__).parents[2] / "docs" / "results"
WIDTHS = {"phone": 390, "desktop": 1100}


@pytest.fixture(scope="module")
def chromium():
    """A running browser, or a reason to skip."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium (Debian: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of one set of records, and that of two."""
    folder = tmp_path_factory.mktemp("pages")
    read = [Records(RESULTS / name / "records.jsonl.gz") for name in ("standard", "black-box")]
    return {"one": write_page(read[:1], folder / "one.html"), "two": write_page(read, folder / "two.html")}


@pytest.fixture
def visit(chromium):
    """Open a page; afterwards, nothing may have been complained of or asked for."""
    with ExitStack() as stack:
        said: list[str] = []
        asked: list[str] = []
        opened: set[str] = set()

        def open_page(path, *, width=1100, scheme="light", accept_downloads=False):
            context = chromium.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme, accept_downloads=accept_downloads
            )
            stack.callback(context.close)
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            opened.add(path.as_uri())
            page.goto(path.as_uri())
            return page

        yield open_page
        assert said == []
        assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
        assert {url for url in asked if url.startswith("file")} == opened


def test_every_figure_is_drawn_as_wide_as_there_is_room(visit, pages):
    for width in WIDTHS.values():
        page = visit(pages["one"], width=width)
        sizes = page.eval_on_selector_all(
            ".plot svg", "all => all.map(one => { const r = one.getBoundingClientRect(); return [r.width, r.height]; })"
        )
        assert len(sizes) == len(figures(Records(RESULTS / "standard" / "records.jsonl.gz")))
        assert all(min(width * 0.8, 340) < wide <= width and high > 100 for wide, high in sizes)
        assert page.evaluate("document.documentElement.scrollWidth") == width  # only tables scroll


def test_a_figures_mark_tells_its_numbers(visit, pages):
    records = Records(RESULTS / "standard" / "records.jsonl.gz")
    (claim,) = [
        claim
        for claim in records.claims.values()
        if (claim.network, claim.attack, claim.budget) == ("random lenet", "pgd", "linf:1/20")
    ]
    row = rows_of(records, claim)[0]
    page = visit(pages["one"])
    assert page.locator(".tooltip title").first.text_content() == f"random lenet\n{row.percent} % at 0.05"
    cell = page.locator("figure .numbers tbody tr").first.locator("td").first.text_content()
    assert cell == f"{100 * row.rate:.1f}[{100 * row.low:.1f}, {100 * row.high:.1f}]"


def test_a_head_sorts_by_value_with_mouse_and_keyboard(visit, pages):
    page = visit(pages["one"])
    table = page.locator("table.sortable").first
    head = table.locator("thead th", has_text="clean")
    column = head.evaluate("head => head.cellIndex")
    values = f"rows => rows.map(row => Number(row.cells[{column}].dataset.value))"

    def shown():
        return table.locator("tbody tr").evaluate_all(values)

    before = shown()
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert shown() == sorted(before) != before
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert shown() == sorted(before, reverse=True)
    table.locator("thead th", has_text="network").locator("button").press("Space")
    assert head.get_attribute("aria-sort") == "none"
    names = table.locator("tbody th").all_text_contents()
    assert names == sorted(names)


def test_what_is_missing_stands_last_whichever_way_a_table_is_sorted(visit, pages):
    page = visit(pages["two"])
    table = page.locator("table.sortable").first
    head = table.locator("thead th", has_text="square").first
    column = head.evaluate("head => head.cellIndex")
    for _ in range(2):
        head.locator("button").click()
        words = table.locator("tbody tr").evaluate_all(f"rows => rows.map(row => row.cells[{column}].textContent)")
        known = [word != "-" for word in words]
        assert 0 < sum(known) < len(known)
        assert known == sorted(known, reverse=True)


def test_the_theme_follows_the_system_until_it_is_chosen(visit, pages):
    paper = "getComputedStyle(document.body).backgroundColor"
    page = visit(pages["one"], scheme="dark")
    dark = page.evaluate(paper)
    assert visit(pages["one"], scheme="light").evaluate(paper) == "rgb(255, 255, 255)" != dark
    toggle = page.get_by_role("button", name="Theme")
    for word, color in (("light", "rgb(255, 255, 255)"), ("dark", dark), ("system", dark)):
        toggle.click()
        assert toggle.text_content() == f"Theme: {word}"
        assert page.evaluate(paper) == color
    toggle.click()
    page.reload()
    assert page.evaluate(paper) == "rgb(255, 255, 255)"  # the choice was kept


def test_a_figure_is_saved_as_svg_that_stands_alone(visit, pages, tmp_path):
    page = visit(pages["one"], accept_downloads=True)
    with page.expect_download() as download:
        page.locator("button.save").first.click()
    assert download.value.suggested_filename == "accuracy-size-linf.svg"
    download.value.save_as(tmp_path / "figure.svg")
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "#0072b2" in (tmp_path / "figure.svg").read_text()


def test_every_part_has_an_address_and_the_contents_lead_there(visit, pages):
    for name in pages:
        page = visit(pages[name])
        ids = page.eval_on_selector_all("h2[id]", "all => all.map(one => one.id)")
        assert len(set(ids)) == len(ids) > 8
        linked = page.eval_on_selector_all("nav a", "all => all.map(one => one.getAttribute('href').slice(1))")
        assert set(linked) == {i for i in ids if not i.endswith("-run")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_the_page_passes_axe(visit, pages, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for width in WIDTHS.values():
        page = visit(pages[name], width=width, scheme=scheme)
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


def test_axe_finds_what_is_wrong(visit, pages):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = visit(pages["one"])
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    page.evaluate("document.querySelector('p').style.color = '#ccc'")
    found = {one["id"] for one in axe.Axe().run(page).response["violations"]}
    assert found == {"image-alt", "color-contrast"}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The page of records with 10,000 examples: a random network and its twin, unattacked and attacked."""
    store, generator = Records(), np.random.default_rng(0)
    shape = {"data": "digits", "shape": [1, 8, 8], "examples": 10_000, "title": "many"}
    store.add([RunLine(command="c", date="2026-01-01", machine="m", versions={}, seed=0, **shape)])
    for name, draws in (("random", 40), ("deterministic", 1)):
        facts = {"architecture": "mlp", "defense": name, "objective": "cross-entropy", "parameters": 1, "epochs": 1}
        more = {"seed": 0, "fingerprint": name, "training": {}, "validation": None, "seconds": 1.0}
        store.add([NetworkLine(network=name, random=draws > 1, **facts, **more)])
        for attack, budget, share in (("clean", None, 0.9), ("pgd", "linf:0.1", 0.4)):
            said = {
                "network": name,
                "fingerprint": name,
                "inputs": "i",
                "attack": attack,
                "options": {},
                "seed": 0,
                "settings": {},
                **JUDGED,
            }
            asked = {"budget": budget, "draws": int(budget is not None), "verdict_draws": draws}
            claim = Claim(deployments=["single", "survive-10"], **said, **asked)
            chances = generator.beta(8 * share, 8 * (1 - share), 10_000)
            right = generator.random((draws, 10_000)) < chances
            counts = {"label": 0, "distance": 0.1, "forwards": 1, "backwards": 1}
            store.add([claim])
            sure = [{"single": round(float(chance), 4)} for chance in chances]
            kept = [{"single": pack(column)} for column in right.T]
            store.add(
                [
                    Example(claim=claim.id, example=i, answers=kept[i], confidences=sure[i], **counts)
                    for i in range(10_000)
                ]
            )
    return write_page([store], tmp_path_factory.mktemp("many") / "many.html")


def test_a_page_of_ten_thousand_examples_opens_in_under_a_second(visit, many):
    assert "40000 example records" in many.read_text()
    spent = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    best = min(visit(many).evaluate(f"new Promise(done => setTimeout(() => done({spent})))") for _ in range(3))
    assert 0 < best < 1000


def test_calibration_is_drawn_and_passes_axe(visit, many):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for scheme in ("light", "dark"):
        page = visit(many, scheme=scheme)
        assert page.locator(".plot svg[aria-label^=Reliability]").count() == 2
        marks = page.locator("svg[aria-label='Reliability of random'] .tooltip title").all_text_contents()
        assert sum(mark.startswith("without attack\n") for mark in marks) == 15  # bins
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


def test_on_a_phone_the_verdict_stands_before_the_contents_are_opened(visit, pages):
    for width, closed in ((WIDTHS["phone"], True), (WIDTHS["desktop"], False)):
        page = visit(pages["one"], width=width)
        assert page.locator("nav details").first.evaluate("part => !part.open") == closed
        top = page.locator("#verdict").evaluate("head => head.getBoundingClientRect().top")
        assert not closed or top < 400


def test_the_page_prints(visit, pages, tmp_path):
    page = visit(pages["one"])
    page.emulate_media(media="print")
    assert page.locator("nav").first.is_hidden()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    printed = page.pdf(path=tmp_path / "one.pdf")
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_clips_are_heard_on_a_page_that_passes_axe(visit, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    path = write_page([records_of("audio", examples=2, **KEPT["audio"])], tmp_path / "clips.html")
    for scheme in ("light", "dark"):
        page = visit(path, scheme=scheme)
        assert axe.Axe().run(page).response["violations"] == []
        loaded = "one => new Promise(done => { one.onloadedmetadata = () => done(one.duration); one.load(); })"
        page.eval_on_selector_all("audio", "all => all.forEach(one => one.preload = 'metadata')")
        assert [one.evaluate(loaded) for one in page.query_selector_all("audio")] == [0.1] * 4
        drawn = page.eval_on_selector_all(".spectrograms img", "all => all.map(one => one.naturalHeight)")
        assert drawn == [129] * 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_flagged_page_passes_axe_and_stands_beside_its_contents(visit, tmp_path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    store = sample()
    claim(store, "at", answers(0.01, draws=1), attack="square")  # a black-box attack is stronger than the gradient
    path = write_page([store], tmp_path / "flagged.html")
    for width in WIDTHS.values():
        page = visit(path, width=width, scheme=scheme)
        assert page.locator(".doubt").count() > 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        left, right = (page.locator(part).first.bounding_box() for part in ("nav", "main"))
        assert (left["x"] + left["width"] <= right["x"]) == (width == WIDTHS["desktop"])
        assert page.locator("table.grouped .again th span").first.bounding_box()["width"] <= 1
        assert axe.Axe().run(page).response["violations"] == []
