"""The page as a browser shows it: Debian's chromium and chromium-driver, without a network."""

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from seqtune.report import build
from seqtune.report.figures import theme
from tests.report.made import make_cell, make_run
from tests.report.sections.test_length_generalization import entry, evaluated
from tests.waiting import HANG_SECONDS

NASTY = '<script>alert("x")</script> & <b>"quoted"</b>'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cells, one unfinished and two evaluated beyond training, whose texts would break a page."""
    root = tmp_path_factory.mktemp("page") / "results"
    for layers, scores in ((1, (0.3, 0.31, 0.29)), (2, (0.1, 0.12, 0.11)), (3, (12.0, 11.0, 13.0))):
        make_cell(root, compared={"model.layers": layers}, values=scores, question=NASTY)
    for run, excess in (
        (f"-{layers}-confirm-{trial}", 0.4 * layers) for layers in (1, 2) for trial in (0, 1)
    ):
        lengths = {"20-24": excess, "25": excess + 0.1}
        evaluated(root, run, [entry(height, excess=excess, lengths=lengths) for height in (3, 4)])
    make_run(root, "broken", compared={"model.layers": 4}, state="failed", question=NASTY)
    return build(root).with_name("report.html")


def test_the_page_holds_what_people_wrote_as_text(built: Path):
    # Vega's runtime names sites that it could ask; the page's policy lets it ask none.
    runtime = theme.runtime().replace("</script", "<\\/script")
    text = built.read_text(encoding="utf-8").replace(runtime, "")
    assert NASTY not in text
    assert "&lt;script&gt;alert(" in text
    assert "http://" not in text.replace("http://www.w3.org/", "")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    driver = shutil.which("chromedriver")
    assert driver is not None, "the slow tests of pages need Debian's chromium and chromium-driver"
    options = ChromeOptions()
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=Service(driver)) as chrome:
        yield chrome


def opened(browser: Chrome, page: Path, *, width: int, dark: bool = False) -> None:
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())


def requested(browser: Chrome) -> set[str]:
    """What the page asked for: the beginnings of the addresses."""
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [
        each["params"]["request"]["url"]
        for each in events
        if each["method"] == "Network.requestWillBeSent"
    ]
    return {url.partition(":")[0] for url in asked}


def drawn(browser: Chrome) -> list[bool]:
    """Whether each moving figure has been drawn, once they have had the time."""
    told = (
        "return [...document.querySelectorAll('.plot')].map(each => each.dataset.drawn === 'yes')"
    )
    WebDriverWait(browser, timeout=HANG_SECONDS).until(
        lambda chrome: all(chrome.execute_script(told))
    )
    return browser.execute_script(told)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1300, False), (1300, True), (390, False)])
def test_every_figure_is_drawn_and_nothing_is_fetched(
    browser: Chrome, built: Path, width: int, dark: bool, tmp_path: Path
):
    opened(browser, built, width=width, dark=dark)
    figures = len(list(built.parent.glob("figures/*.png")))
    assert drawn(browser) == [True] * figures
    assert figures > 6
    marks = (
        "return [...document.querySelectorAll('.plot')]"
        ".map(each => each.querySelectorAll('svg path, svg text').length)"
    )
    assert min(browser.execute_script(marks)) > 10
    assert requested(browser) <= {"file", "data"}
    assert browser.get_log("browser") == []
    # Wide tables scroll by themselves; the page does not.
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is not dark
    picture = tmp_path / "page.png"
    browser.save_screenshot(str(picture))
    assert picture.stat().st_size > 20_000


@pytest.mark.slow
def test_a_click_sorts_a_table_and_another_turns_it_round(browser: Chrome, built: Path):
    opened(browser, built, width=1300)
    table = browser.find_element(By.CSS_SELECTOR, "table")
    names = [each.text.split("\n")[0] for each in table.find_elements(By.CSS_SELECTOR, "th")]
    column = next(index for index, name in enumerate(names) if name.startswith("mean"))

    def means() -> list[str]:
        rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
        return [row.find_elements(By.CSS_SELECTOR, "td")[column].text for row in rows]

    assert means() == ["0.1100", "0.3000", "12.00", ""]
    button = table.find_elements(By.CSS_SELECTOR, "th button")[column]
    button.click()
    assert means() == ["0.1100", "0.3000", "12.00", ""]
    button.click()
    assert means() == ["12.00", "0.3000", "0.1100", ""]


def seen(browser: Chrome) -> dict[str, Any]:
    """The first learning curves: the texts in the figure, and how many lines and bands it has."""
    return browser.execute_script(
        "const [plot] = arguments; return {"
        "texts: [...plot.querySelectorAll('svg text')].map(each => each.textContent),"
        "lines: plot.querySelectorAll('.mark-line path').length,"
        "bands: plot.querySelectorAll('.mark-area path').length}",
        curves_of(browser),
    )


def curves_of(browser: Chrome) -> Any:
    return next(
        each
        for each in browser.find_elements(By.CSS_SELECTOR, ".plot")
        if (each.get_attribute("aria-label") or "").startswith("valid/loss: mean")
    )


def choose(browser: Chrome, plot: Any, *, choice: str, number: int = 0) -> None:
    """Chooses what is called so from a list above a figure."""
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", plot)
    menu = plot.find_elements(By.CSS_SELECTOR, "select")[number]
    next(each for each in menu.find_elements(By.TAG_NAME, "option") if each.text == choice).click()


@pytest.mark.slow
def test_the_axis_of_the_learning_curves_can_be_changed_and_cells_clicked_away(
    browser: Chrome, built: Path
):
    opened(browser, built, width=1300)
    drawn(browser)
    assert "tokens trained on" in seen(browser)["texts"]
    assert (seen(browser)["lines"], seen(browser)["bands"]) == (3, 3)
    plot = curves_of(browser)
    choose(browser, plot, choice="seconds")
    wait = WebDriverWait(browser, timeout=HANG_SECONDS)
    wait.until(lambda chrome: "seconds" in seen(chrome)["texts"])
    assert "tokens trained on" not in seen(browser)["texts"]
    choose(browser, plot, choice="linear", number=1)
    wait.until(lambda chrome: "14" in seen(chrome)["texts"])
    name = plot.find_element(By.CSS_SELECTOR, ".role-legend-label text")
    ActionChains(browser).click(name).perform()
    # The band and the mean of one cell go together, and come back.
    wait.until(lambda chrome: seen(chrome)["lines"] == 2)
    assert seen(browser)["bands"] == 2
    name = plot.find_element(By.CSS_SELECTOR, ".role-legend-label text")
    ActionChains(browser).click(name).perform()
    wait.until(lambda chrome: seen(chrome)["lines"] == 3)
    assert browser.get_log("browser") == []


@pytest.fixture(scope="module")
def shaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over three compared paths, of runs that read more and more of their own tokens."""
    root = tmp_path_factory.mktemp("shaded") / "results"
    for height, layers, width in itertools.product((2, 3), (1, 2), (8, 16)):
        for trial in range(2):
            make_run(
                root,
                f"{height}-{layers}-{width}-{trial}",
                excess=(0.5, 0.1 * height * layers),
                compared={"task.height": height, "model.layers": layers, "model.width": width},
                trial=trial,
                seed=trial,
                info={"flops_per_token": 100 * width},
                metrics={"forcing": 0.25},
            )
    return build(root).with_name("report.html")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1300, 390])
def test_the_heat_map_and_the_greys_follow_their_menus(browser: Chrome, shaded: Path, width: int):
    opened(browser, shaded, width=width)
    assert all(drawn(browser))
    heat = browser.find_element(By.CSS_SELECTOR, ".plot")
    texts = "return [...arguments[0].querySelectorAll('svg text')].map(each => each.textContent)"
    assert {"width 8", "width 16"} <= set(browser.execute_script(texts, heat))
    choose(browser, heat, choice="model.width")
    wait = WebDriverWait(browser, timeout=HANG_SECONDS)
    wait.until(lambda chrome: "height 2" in chrome.execute_script(texts, heat))
    greys = "return arguments[0].querySelectorAll('.mark-rect path').length"
    edges = "return arguments[0].querySelector('.mark-rect path').getAttribute('d')"
    curves = curves_of(browser)
    assert browser.execute_script(greys, curves) == 2
    before = browser.execute_script(edges, curves)
    choose(browser, curves, choice="FLOPs")
    wait.until(lambda chrome: "FLOPs" in chrome.execute_script(texts, curves))
    assert browser.execute_script(edges, curves)
    assert before
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
