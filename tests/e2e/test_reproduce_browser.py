"""The reproduction's report in a real browser: every plot is drawn, no label covers another."""

from __future__ import annotations

import html
import importlib.util
import io
import json
import re
from pathlib import Path

import pytest
from chromium import driven
from PIL import Image

from mint.reproduction.published import load
from mint.reproduction.report.files import write
from mint.reproduction.results import reproduce as make_results
from mint.reproduction.settings import ReproduceSettings

TESTS = Path(__file__).resolve().parents[1]
WIDTHS = {"desktop": 1200, "phone": 390}
PROBE = """
const found = [...document.querySelectorAll('iframe')].map(f => {
const page = f.contentDocument, view = f.contentWindow;
const box = e => { const r = e.getBoundingClientRect();
  return [r.left, r.top + view.scrollY, r.right, r.bottom + view.scrollY]; };
const cover = (a, b) => Math.min(a[2], b[2]) - Math.max(a[0], b[0]) > 1.5
  && Math.min(a[3], b[3]) - Math.max(a[1], b[1]) > 3;
const charts = [...page.querySelectorAll('svg.chart')].map(svg => {
  const texts = [...svg.querySelectorAll('text')].map(t => [t.firstChild.nodeValue, box(t)]);
  const own = box(svg), overlaps = [], outside = [];
  texts.forEach(([a, p], i) => {
    if (p[0] < own[0] - 1 || p[2] > own[2] + 1) outside.push(a);
    texts.slice(i + 1).forEach(([b, q]) => { if (cover(p, q)) overlaps.push([a, b]); });
  });
  return {box: own, title: svg.closest('figure').querySelector('h3').textContent, overlaps,
    outside, texts: texts.length, size: Math.min(...texts.map(t => t[1][3] - t[1][1])),
    marks: svg.querySelectorAll('.mk, .heat, .pairs').length};
});
const root = page.documentElement;
return {charts, wide: root.scrollWidth, window: root.clientWidth, height: root.scrollHeight};
});
document.body.dataset.found = JSON.stringify(found);
"""


def load_module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report_browser = load_module(TESTS / "e2e" / "test_report_browser.py")
released = load_module(TESTS / "released_files.py")
browser = report_browser.browser


def make_page(upstream: Path, folder: Path) -> Path:
    settings = ReproduceSettings(
        upstream=str(upstream),
        output=str(folder),
        resamples=500,
        comparison_resamples=2_000,
        shuffles=200,
        equal_length=50,
    )
    return write(make_results(settings, lambda *_: None), folder).resolve()


@pytest.fixture(scope="module", params=["made up, all systems", "released"])
def page(request, tmp_path_factory) -> Path:
    """Of 23 made-up systems and one of an unknown method; and of the released files."""
    folder = tmp_path_factory.mktemp("page")
    if request.param == "released":
        return make_page(request.getfixturevalue("upstream"), folder / "out")
    names = (*load().systems, "a_method_with_a_very_long_name_indeed_Llama-8B")
    return make_page(released.make_release(folder / "upstream", names), folder / "out")


def lay_out(browser: str, page: Path, folder: Path) -> dict[str, dict]:
    """What the browser has laid out, by device."""
    frames = "".join(
        f'<iframe src="{page.as_uri()}" width="{width}" height="2000" style="border:0"></iframe>'
        for width in WIDTHS.values()
    )
    frame = folder / "frame.html"
    frame.write_text(f"<body>{frames}<script>onload = () => {{{PROBE}}}</script>")
    done = report_browser.visit(
        browser,
        frame.as_uri(),
        folder / "profile",
        "--allow-file-access-from-files",
        "--virtual-time-budget=8000",
        "--window-size=1700,2000",
        "--dump-dom",
    )
    assert not re.findall(r".*CONSOLE.*", done.stderr)
    found = re.search(r'data-found="([^"]*)"', done.stdout).group(1)
    return dict(zip(WIDTHS, json.loads(html.unescape(found)), strict=True))


_BAND = 8000
"""Pixels of a page painted together: a picture of 40,000 is more than Chromium paints."""


def look(page: Path, size: tuple[int, int], scheme: str) -> Image.Image:
    """The page as it is painted at a width and height, in light or dark."""
    width, height = size
    seen = Image.new("RGB", size)
    with driven() as browser:
        tab = browser.new_page(viewport={"width": width, "height": 2000}, color_scheme=scheme)
        tab.goto(page.as_uri())
        for top in range(0, height, _BAND):
            clip = {"x": 0, "y": top, "width": width, "height": min(_BAND, height - top)}
            with Image.open(io.BytesIO(tab.screenshot(full_page=True, clip=clip))) as band:
                seen.paste(band.convert("RGB"), (0, top))
    return seen


@pytest.fixture(scope="module")
def layouts(browser: str, page: Path, tmp_path_factory) -> dict[str, dict]:
    return lay_out(browser, page, tmp_path_factory.mktemp("layout"))


@pytest.mark.parametrize("device", WIDTHS)
def test_labels_are_legible_and_cover_no_other(layouts, device):
    found = layouts[device]
    assert found["wide"] <= found["window"]
    titles = [chart["title"] for chart in found["charts"]]
    assert len(titles) == len(set(titles)) >= 19
    for chart in found["charts"]:
        assert chart["marks"] >= 6, chart["title"]
        assert chart["overlaps"] == [], chart["title"]
        assert chart["outside"] == [], chart["title"]
        assert chart["size"] >= 9, chart["title"]


@pytest.mark.parametrize(("device", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_no_plot_is_empty(page, layouts, device, scheme):
    """Every plot has many colours where the page shows it: axes, text and marks."""
    found = layouts[device]
    seen = look(page, (WIDTHS[device], found["height"]), scheme)
    card = (24, 32, 42) if scheme == "dark" else (255, 255, 255)
    for chart in found["charts"]:
        part = seen.crop(tuple(round(edge) for edge in chart["box"]))
        colours = part.getcolors(maxcolors=part.width * part.height)
        background = max(colours)[1]
        painted = sum(count for count, colour in colours if colour != background)
        assert background == card or chart["title"] == "Which tactics are used", chart["title"]
        assert len(colours) > 30, chart["title"]
        assert painted > 0.02 * part.width * part.height, chart["title"]
