"""The page in a real browser: Debian's chromium, without a display. Skipped where there is none."""

import base64
import json
import os
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from tests.report.hostile import hostile_sweep
from tests.report.html.test_thumbnails import SHAPES
from tests.report.sweeps import finished, task

from ablate.report.compare import report_of
from ablate.report.html import write_page
from ablate.report.load import load
from ablate.results.record import SessionResult

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="apt-get install -y chromium chromium-driver"
)
WIDE, PHONE = (1280, 900), (390, 844)
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
N = 60


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a small sweep over shapes."""
    folder = tmp_path_factory.mktemp("page")
    ids = [f"barred-test-{n}" for n in range(N)]
    classes = np.array(["circle", "square", "triangle"])[np.arange(N) % 3]
    for value in (8, 16, 64):
        for seed in (0, 1, 2):
            rng = np.random.default_rng([value, seed])
            scores = (rng.random(N) < 0.4 + value / 200).astype(float)
            about, items = task("barred", "target", scores, np.zeros(N), ids=ids)
            items["answer"] = classes
            items["prediction"] = np.where(scores == 1, classes, "star")
            controls = task("filled", "control", rng.random(N) < 0.9, np.ones(N), ids=ids)
            costs = {"trainable_parameters": value * 100, "train_seconds": 3.0 + seed}
            run = finished(folder / "s", value, seed, [(about, items), controls], **costs)
            (run.path / "config.yaml").write_text(yaml.safe_dump({"data": SHAPES}))
    return write_page(report_of(load([folder / "s"])), folder)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The page of runs without an ablation: two axes, sessions, numbers that never differ."""
    folder = tmp_path_factory.mktemp("grid")
    for number, (method, rank) in enumerate(
        [("lora", 8), ("lora", 16), ("lorsu", 8), ("lorsu", 16)]
    ):
        columns = {"method": method, "rank": rank, "accuracy": number / 10, "accuracy_before": 0.1}
        run = finished(folder / "s", None, 0, ablation=None, config=f"c{number}", **columns)
        record = run.read()
        after = [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
        record.sessions = [SessionResult(a, s, "a, b", number / 10, 5) for a, s in after]
        run.rewrite(record)
    return write_page(report_of(load([folder / "s"])), folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    hostile_sweep(folder / "s")
    return write_page(report_of(load([folder / "s"])), folder)


def opened(browser, file, size=WIDE, scheme="light"):
    """Open a page as it looks on a screen, and wait until its pictures are drawn."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(file.as_uri())
    places = browser.find_elements(By.CSS_SELECTOR, "[data-spec]")
    assert places
    WebDriverWait(browser, 60).until(
        lambda _: all(place.get_attribute("data-state") for place in places)
    )
    return places


def requested(browser):
    """Return what was asked for since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def screenshot(browser, name):
    """Take the whole page; it is kept where REPORT_SCREENSHOTS says, to be looked at."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    width = browser.execute_script("return innerWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    taken = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
    )
    content = base64.b64decode(taken["data"])
    if folder := os.environ.get("REPORT_SCREENSHOTS"):
        (Path(folder) / f"{name}.png").write_bytes(content)
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image.convert("L"))


@pytest.mark.parametrize("which", ["page", "grid", "hostile"])
def test_pictures_are_drawn_without_an_error_or_a_request(browser, which, request):
    file = request.getfixturevalue(which)
    places = opened(browser, file)
    assert {place.get_attribute("data-state") for place in places} == {"drawn"}
    for place in places:
        assert place.find_elements(By.CSS_SELECTOR, "svg .mark-symbol path, svg .mark-rect path")
    assert browser.get_log("browser") == []
    urls = requested(browser)
    assert urls[0] == file.as_uri()
    assert all(url.startswith("data:") for url in urls[1:])
    assert browser.execute_script("return window.hacked") is None


def test_numbers_are_written_whole_at_their_axis(browser, tmp_path):
    """Vega rounds labels to the step of its own ticks: 64 beside 8 would read 6e+1."""
    for value in (8, 64):
        about = task("barred", "target", np.arange(N) % 9 < value / 50, ids=[*map(str, range(N))])
        finished(tmp_path / "s", value, 0, [about])
    opened(browser, write_page(report_of(load([tmp_path / "s"])), tmp_path))
    labels = browser.find_elements(
        By.CSS_SELECTOR, "[data-spec] svg g[aria-label^='X-axis'] .role-axis-label text"
    )
    assert [label.text for label in labels][:2] == ["8", "64"]


def test_the_policy_stops_a_script_that_got_in(browser, page):
    opened(browser, page)
    browser.execute_script(
        "const one = document.createElement('div');"
        "one.innerHTML = '<img src=x onerror=\"window.hacked = 1\">';"
        "const other = document.createElement('script'); other.textContent = 'window.hacked = 2';"
        "document.body.append(one, other);"
    )
    assert browser.execute_script("return window.hacked") is None
    refusals = [entry["message"] for entry in browser.get_log("browser")]
    assert any("Content Security Policy" in refusal for refusal in refusals)


def test_a_table_sorts_by_the_column_that_is_pressed(browser, page):
    opened(browser, page)
    table = browser.find_element(By.CSS_SELECTOR, "table.sortable")

    def column(number):
        rows = table.find_elements(By.CSS_SELECTOR, f"tbody td:nth-child({number})")
        return [row.get_attribute("data-sort") or row.text for row in rows]

    buttons = table.find_elements(By.CSS_SELECTOR, "th button")
    titles = [button.text for button in buttons]
    mean = next(n for n, title in enumerate(titles, 1) if title.startswith("mean"))
    before = [float(cell) for cell in column(mean)]
    assert before != sorted(before)
    buttons[mean - 1].click()
    assert [float(cell) for cell in column(mean)] == sorted(before)
    buttons[mean - 1].click()
    assert [float(cell) for cell in column(mean)] == sorted(before, reverse=True)
    header = table.find_elements(By.TAG_NAME, "th")[mean - 1]
    assert header.get_attribute("aria-sort") == "descending"
    difference = next(n for n, title in enumerate(titles, 1) if title.startswith("difference"))
    for _ in range(2):
        buttons[difference - 1].click()
        assert column(difference)[-1] == "", "empty cells come last, whichever way is sorted"


def test_a_confusion_view_follows_the_configuration_that_is_chosen(browser, page):
    opened(browser, page)
    (choice,) = browser.find_elements(By.CSS_SELECTOR, ".vega-bindings select")
    figure = choice.find_element(By.XPATH, "ancestor::figure")

    def shares():
        texts = figure.find_elements(By.CSS_SELECTOR, "svg .mark-text.role-mark text")
        return [text.text for text in texts]

    before = shares()
    assert [option.text for option in Select(choice).options] == ["the baseline", "16", "64"]
    Select(choice).select_by_visible_text("64")
    WebDriverWait(browser, 10).until(lambda _: shares() != before)


def test_ten_items_that_changed_have_their_images(browser, page):
    opened(browser, page)
    images = browser.find_elements(By.CSS_SELECTOR, ".item img")
    assert len(images) == 10
    assert {image.get_property("naturalWidth") for image in images} == {32}


@pytest.mark.parametrize("which", ["page", "hostile"])
def test_a_phone_scrolls_tables_and_not_the_page(browser, which, request):
    opened(browser, request.getfixturevalue(which), PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    screenshot(browser, f"{which}-phone")


def test_a_dark_screen_has_a_dark_page(browser, page):
    opened(browser, page)
    light = screenshot(browser, "wide")
    opened(browser, page, scheme="dark")
    dark = screenshot(browser, "dark")
    assert light.shape == dark.shape
    assert np.median(light) > 200
    assert np.median(dark) < 60
