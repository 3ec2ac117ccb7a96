"""The page as a browser shows it: Debian's chromium and chromium-driver, without a network."""

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from seqtune.report import build
from tests.report.made import make_cell, make_run
from tests.report.sections.test_length_generalization import entry, evaluated
from tests.waiting import HANG_SECONDS

NASTY = '<script>alert("x")</script> & <b>"quoted"</b>'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of four cells, one without a finished run and two evaluated beyond their training, whose texts would break a page."""
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
    # Plotly names sites that it could ask; the page's policy lets it ask none.
    text = built.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
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
    pictures: list[Any] = browser.execute_script(
        "return [...document.images].map(each => each.naturalWidth)"
    )
    assert len(pictures) == len(list(built.parent.glob("figures/*.png"))) > 1
    assert all(pictures)
    # Two learning curves; excess and accuracy by height and by length; cost and quality; slices.
    assert drawn(browser) == [True] * 8
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


def shown(browser: Chrome) -> dict[str, Any]:
    """The first learning curve: its axis, the ends of its curves, and which of them are seen."""
    return browser.execute_script(
        "const plot = document.querySelector('.plot'); return {"
        "axis: plot.layout.xaxis.title.text,"
        "ends: plot.data.filter(each => each.showlegend !== false).map(each => each.x.at(-1)),"
        "seen: plot.data.map(each => each.visible !== 'legendonly')}"
    )


@pytest.mark.slow
def test_the_axis_of_the_learning_curves_can_be_changed_and_cells_clicked_away(
    browser: Chrome, built: Path
):
    opened(browser, built, width=1300)
    drawn(browser)
    assert (shown(browser)["axis"], shown(browser)["ends"]) == ("tokens trained on", [200] * 3)
    plot = browser.find_element(By.CSS_SELECTOR, ".plot")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", plot)
    plot.find_element(By.CSS_SELECTOR, ".updatemenu-header").click()
    [choice] = [
        each
        for each in plot.find_elements(By.CSS_SELECTOR, ".updatemenu-dropdown-button")
        if each.text == "seconds"
    ]
    choice.click()
    WebDriverWait(browser, timeout=HANG_SECONDS).until(
        lambda chrome: shown(chrome)["axis"] == "seconds"
    )
    assert shown(browser)["ends"] == [20] * 3
    browser.find_element(By.CSS_SELECTOR, ".legendtoggle").click()
    # The band's edges, the floor and the mean of one cell go together.
    WebDriverWait(browser, timeout=HANG_SECONDS).until(
        lambda chrome: not all(shown(chrome)["seen"])
    )
    assert shown(browser)["seen"] == [False] * 4 + [True] * 8


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
    heat, curves = browser.find_elements(By.CSS_SELECTOR, ".plot")[:2]
    press = (
        "const [plot, button] = arguments;"
        "return Plotly.update(plot, ...plot.layout.updatemenus[0].buttons[button].args)"
    )
    title = "return arguments[0].layout.xaxis.title.text"
    tiles = "return arguments[0].querySelectorAll('.heatmaplayer image').length"
    assert browser.execute_script(title, heat) == "task.height"
    browser.execute_script(press, heat, 5)
    assert browser.execute_script(title, heat) == "model.layers"
    # Tiles with black and with white letters are an image each.
    assert browser.execute_script(tiles, heat) == 2
    shapes = "return arguments[0].querySelectorAll('.shapelayer path').length"
    bars = "return arguments[0].querySelectorAll('.barlayer .point path').length"
    assert (browser.execute_script(shapes, curves), browser.execute_script(bars, curves)) == (1, 0)
    browser.execute_script(press, curves, 2)  # FLOPs, of which a wide model needs more
    assert (browser.execute_script(shapes, curves), browser.execute_script(bars, curves)) == (0, 8)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
