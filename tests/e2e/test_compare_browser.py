"""The comparison page in a real browser: every plot is there, none is empty, no label covers
another."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mint.report import ReportSettings, main

TESTS = Path(__file__).resolve().parents[1]
PROTOCOLS = ("Held-out turns", "Fixed histories (Lend-an-Ear)", "Free-running dialogues")
CURVES = (
    "Composite reward",
    "Quality (empathy as a reward)",
    "Tactics per reply",
    "Length of replies",
)


def load_module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


folders = load_module(TESTS / "evaluation_folders.py")
report_browser = load_module(TESTS / "e2e" / "test_report_browser.py")
reproduce_browser = load_module(TESTS / "e2e" / "test_reproduce_browser.py")
browser = report_browser.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """Two runs and two evaluation folders, six models in all."""
    folder = tmp_path_factory.mktemp("compare")
    runs = [str(folders.demo_run.make_run(folder / n).path) for n in ("run one", "run two")]
    for seed, name in enumerate(("plain", "an evaluation with a rather long name")):
        folders.make_evaluation(folder / name, 0.2 + 0.5 * seed, seed, rate=0.5 + 0.4 * seed)
        runs.append(str(folder / name))
    output = folder / "page.html"
    main(ReportSettings(runs=runs, output=str(output), resamples=200))
    return output.resolve()


@pytest.fixture(scope="module")
def layouts(browser, page, tmp_path_factory) -> dict[str, dict]:
    return reproduce_browser.lay_out(browser, page, tmp_path_factory.mktemp("layout"))


@pytest.mark.parametrize("device", reproduce_browser.WIDTHS)
def test_every_plot_is_there_and_legible(layouts, device):
    found = layouts[device]
    assert found["wide"] <= found["window"]
    titles = [chart["title"] for chart in found["charts"]]
    assert len(titles) == len(set(titles))
    for protocol in PROTOCOLS:
        assert f"{protocol}: empathy and self-stickiness" in titles
        assert f"{protocol}: empathy and repetition beyond chance (lift)" in titles
        assert sum(title.endswith(f", {protocol}") for title in titles) >= 2
    assert "Fixed histories (Lend-an-Ear): empathy and safety" in titles
    assert set(CURVES) <= set(titles)
    for chart in found["charts"]:
        assert chart["overlaps"] == [], chart["title"]
        assert chart["outside"] == [], chart["title"]
        assert chart["size"] >= 9, chart["title"]


@pytest.mark.parametrize(("device", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_no_plot_is_empty(page, layouts, device, scheme):
    found = layouts[device]
    size = (reproduce_browser.WIDTHS[device], found["height"])
    seen = reproduce_browser.look(page, size, scheme)
    for chart in found["charts"]:
        part = seen.crop(tuple(round(edge) for edge in chart["box"]))
        colours = part.getcolors(maxcolors=part.width * part.height)
        painted = part.width * part.height - max(count for count, _ in colours)
        assert len(colours) > 20, chart["title"]
        assert painted > 0.01 * part.width * part.height, chart["title"]
