"""The built pages as a browser shows them: by day and by night, on a phone and on a desk, without mathematics fonts.

Chromium opens every page of the site that $SITE names. It finds no font of the system but DejaVu Sans, in which letters
of formulas are empty boxes: they read only if the site's own font arrives. Each check is made once more with something
broken on purpose. Pictures of what it shows go to $SHOTS, if that is set.
"""

import functools
import http.server
import io
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
webdriver = pytest.importorskip("selenium.webdriver")
wait = pytest.importorskip("selenium.webdriver.support.wait")
matplotlib = pytest.importorskip("matplotlib")

pytestmark = pytest.mark.skipif("SITE" not in os.environ, reason="SITE names no built site (.ci/run builds one)")

WINDOWS = {"phone": (390, 844), "desk": (1280, 800)}
SHOWN = ("index", "tutorial", "theory/chains", "papers/demystified", "howto/weight", "notebooks/01_quick_tour")
ANSWERED = ("weight", "drop_or_keep", "worth", "is_it_collapsing", "when_to_stop", "my_network")
INSTALL = "//article//code[contains(., 'pip install')]"
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>{0}</dir><cachedir>{0}/cache</cachedir></fontconfig>"""

BROKEN_PICTURES = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
COLLISIONS = """
const found = [], boxes = e => [...e.children].map(c => c.getBoundingClientRect()).filter(b => b.width && b.height);
for (const row of document.querySelectorAll("math, mrow, mstyle, mtd"))
  boxes(row).forEach((b, i, all) => {
    const a = all[i - 1];
    if (a && b.left < a.right - 1 && a.left < b.right && b.top < a.bottom && a.top < b.bottom)
      found.push(row.textContent);
  });
for (const [top, bottom] of [...document.querySelectorAll("mfrac")].map(boxes))
  if (bottom && bottom.top < top.bottom - 1) found.push("a fraction");
return found;"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *arguments):
        """Say nothing of requests."""


class Page:
    """A Chromium that stands on one page of the site."""

    def __init__(self, driver, address):
        self.driver, self.address = driver, address
        for domain in ("DOM", "CSS", "Network"):
            self.tell(f"{domain}.enable")
        self.tell("Network.setCacheDisabled", cacheDisabled=True)

    def tell(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def open(self, name):
        self.driver.get(f"{self.address}/{name}")
        self.driver.execute_async_script("document.fonts.ready.then(arguments[0])")

    def window(self, kind, theme="light"):
        width, height = WINDOWS[kind]
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def block(self, *addresses):
        self.tell("Network.setBlockedURLs", urls=addresses)

    def run(self, script):
        return self.driver.execute_script(script)

    def is_too_wide(self):
        return self.run("return document.documentElement.scrollWidth > innerWidth")

    def fonts_of_formulas(self):
        """Names of the fonts that formulas are really drawn with, of the site (True) or of the system (False)."""
        root = self.tell("DOM.getDocument", depth=0)["root"]["nodeId"]
        formulas = self.tell("DOM.querySelectorAll", nodeId=root, selector="math")["nodeIds"]
        used = [self.tell("CSS.getPlatformFontsForNode", nodeId=formula)["fonts"] for formula in formulas]
        return {font["isCustomFont"] for fonts in used for font in fonts}

    def in_first_screen(self, element):
        """Is all of the element seen before anybody scrolls?"""
        top, bottom, height = self.driver.execute_script(
            "const b = arguments[0].getBoundingClientRect(); return [b.top, b.bottom, innerHeight]", element
        )
        return 0 <= top < bottom <= height


@pytest.fixture(scope="module")
def address():
    """Where the site that $SITE names is served."""
    handler = functools.partial(Quiet, directory=os.environ["SITE"])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def page(address, tmp_path_factory):
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or driver is None:
        pytest.fail("no chromium or chromedriver in PATH; on Debian: apt-get install chromium chromium-driver")
    fonts = tmp_path_factory.mktemp("fonts")
    for name in ("DejaVuSans.ttf", "DejaVuSansMono.ttf"):
        shutil.copy(Path(matplotlib.get_data_path(), "fonts", "ttf", name), fonts)
    (fonts / "fonts.conf").write_text(FONTS.format(fonts), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    service = webdriver.ChromeService(driver, env=os.environ | {"FONTCONFIG_FILE": str(fonts / "fonts.conf")})
    with webdriver.Chrome(options=options, service=service) as browser:
        yield Page(browser, address)


@pytest.fixture(scope="module")
def seen(page):
    """Of all pages: which are too wide, show system fonts in formulas, have parts that collide or lost a picture."""
    wide, strange, collided, lost = set(), set(), {}, {}
    site = Path(os.environ["SITE"])
    for file in sorted(site.rglob("*.html")):
        name = str(file.relative_to(site))
        page.open(name)
        for kind in WINDOWS:
            page.window(kind)
            wide |= {(kind, name)} if page.is_too_wide() else set()
            collided |= {(kind, name): found} if (found := page.run(COLLISIONS)) else {}
        strange |= {name} if False in page.fonts_of_formulas() else set()
        lost |= {name: found} if (found := page.run(BROKEN_PICTURES)) else {}
    return {"wide": wide, "strange": strange, "collided": collided, "lost": lost}


def test_no_built_page_is_wider_than_its_window(seen, page):
    assert seen["wide"] == set()
    page.open("index.html")
    page.run("document.querySelector('article').insertAdjacentHTML('beforeend', '<div style=\"width: 9999px\">.')")
    assert page.is_too_wide()


def test_built_formulas_are_drawn_with_the_font_of_the_site(seen, page):
    assert seen["strange"] == set()
    page.open("theory/chains.html")
    assert page.fonts_of_formulas() == {True}
    page.block("*formulas.woff*")
    page.open("theory/chains.html")
    assert False in page.fonts_of_formulas()
    page.block()


def test_the_parts_of_built_formulas_do_not_collide(seen, page):
    assert seen["collided"] == {}
    page.open("theory/chains.html")
    page.run("document.querySelector('mfrac mi').style.transform = 'scale(4)'")
    assert page.run(COLLISIONS)


def test_every_picture_of_the_built_pages_arrives(seen, page):
    assert seen["lost"] == {}
    page.block("*demo.png*")
    page.open("index.html")
    assert len(page.run(BROKEN_PICTURES)) == 1
    page.block()


@pytest.mark.parametrize("kind", WINDOWS)
def test_the_built_front_page_begins_with_a_figure_and_how_to_install(page, kind):
    page.window(kind)
    page.open("index.html")
    figure, install = (page.driver.find_element("xpath", path) for path in ("//article//img", INSTALL))
    assert page.in_first_screen(figure)
    assert page.in_first_screen(install)
    page.run("document.querySelector('h1').style.marginTop = '600px'")
    assert not page.in_first_screen(figure)


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("name", ANSWERED)
def test_a_built_page_answers_its_question_in_the_first_screen(page, kind, name):
    page.window(kind)
    page.open(f"howto/{name}.html")
    answer = page.driver.find_element("css selector", "article strong")
    assert page.in_first_screen(answer)
    page.run("document.querySelector('h1').style.marginTop = '800px'")
    assert not page.in_first_screen(answer)


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize(("theme", "broken"), [("light", "invert(1)"), ("dark", "none")])
def test_built_pictures_are_as_bright_as_their_page(page, kind, theme, broken):
    page.window(kind, theme)
    for name in SHOWN if "SHOTS" in os.environ else ():
        page.open(f"{name}.html")
        page.driver.save_screenshot(str(Path(os.environ["SHOTS"], f"{name.replace('/', '-')}-{kind}-{theme}.png")))
    page.open("index.html")
    assert _is_bright(page) == (theme == "light")
    page.run(f"document.querySelector('article img').style.filter = '{broken}'")
    assert _is_bright(page) == (theme == "dark")


def _is_bright(page):
    """Is the first picture bright? Its lines must stand out from it."""
    shot = page.driver.find_element("css selector", "article img").screenshot_as_png
    grey = np.asarray(Image.open(io.BytesIO(shot)).convert("L")) / 255
    assert np.ptp(grey) > 0.6
    return bool(np.median(grey) > 0.7)


@pytest.mark.parametrize("words", ["sample_weight", "LaTeX", "soft labels", "perplexity"])
def test_the_search_of_the_built_site_finds(page, words):
    assert _found(page, words)
    assert not _found(page, words + " snowplough")


def _found(page, words):
    """Titles of the pages that the search shows."""
    page.open(f"search.html?q={words}")
    summary = "const said = document.querySelector('.search-summary'); return said ? said.textContent : ''"
    done = re.compile("finished|did not match")
    wait.WebDriverWait(page.driver, 20).until(lambda _: done.search(page.run(summary)))
    return page.run("return [...document.querySelectorAll('#search-results li a')].map(link => link.textContent)")
