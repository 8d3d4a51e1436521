"""One page that puts evaluations side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

import mint
from mint.config.evaluation import EvaluationConfig
from mint.evaluation.options import HELD_OUT
from mint.pages.html import number, section, table, text
from mint.reporting.compare_curves import curves_section
from mint.reporting.compare_plots import tactics_section, trade_off_section
from mint.reporting.compare_safety import safety_section
from mint.reporting.compare_samples import samples_section
from mint.reporting.compare_tables import protocol_section
from mint.reporting.contestants import Contestant, System, systems_of
from mint.shell.files import utc_now

TITLES = {
    HELD_OUT: "Held-out turns",
    "lend_an_ear": "Fixed histories (Lend-an-Ear)",
    "free_running": "Free-running dialogues",
    "baselines": "Prompt baselines",
}


def render_comparison(
    contestants: Sequence[Contestant], settings: EvaluationConfig, mixed: bool
) -> str:
    """The whole page; `mixed` warns that graders differ."""
    protocols = {name: systems for name in TITLES if (systems := systems_of(contestants, name))}
    links: dict[str, str] = {}
    body: list[str] = []
    for name, systems in protocols.items():
        body.append(protocol_section(name, TITLES[name], systems, settings))
        links[name] = TITLES[name].split(" (")[0]
    parts = {
        "safety": ("Safety", safety_section(contestants, settings.confidence)),
        "tradeoffs": ("Trade-offs", trade_off_section(protocols, TITLES, contestants, settings)),
        "transitions": ("Tactics", tactics_section(protocols, TITLES)),
        "curves": ("Learning curves", curves_section(contestants)),
        "samples": ("Replies", samples_section(protocols, TITLES)),
        "graders": ("Graders", _graders_section(protocols)),
    }
    for anchor, (title, html) in parts.items():
        if html:
            links[anchor] = title
            body.append(html)
    return _page(contestants, links, "".join(body), mixed)


def _page(
    contestants: Sequence[Contestant], links: Mapping[str, str], body: str, mixed: bool
) -> str:
    style = (resources.files("mint.reporting") / "style.css").read_text(encoding="utf-8")
    style += (resources.files("mint.reproduction") / "page.css").read_text(encoding="utf-8")
    style += (resources.files("mint.reporting") / "compare.css").read_text(encoding="utf-8")
    names = " · ".join(text(contestant.name) for contestant in contestants)
    nav = "".join(f'<a href="#{anchor}">{text(title)}</a>' for anchor, title in links.items())
    warning = (
        '<p class="error" role="alert">Different graders have graded these evaluations: '
        "their numbers do not compare. Shown because allow_mixed=true.</p>"
        if mixed
        else ""
    )
    first = next(iter(links), "")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>Comparison · mint report</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#{first}">Skip to the results</a>'
        f'<header><div><p class="kicker">mint comparison</p><h1>{len(contestants)} evaluations'
        f'</h1><p class="muted">{names}</p>{warning}</div></header>'
        f'<nav aria-label="Sections"><div>{nav}</div></nav><main>{body}</main>'
        f"<footer>Written by mint {text(mint.__version__)} on {utc_now()[:16].replace('T', ' ')} "
        "UTC.</footer></body></html>\n"
    )


def _graders_section(protocols: Mapping[str, Sequence[System]]) -> str:
    rows = []
    for protocol, systems in protocols.items():
        for system in systems:
            cells = [
                f"{text(identity['name'])} {text(str(identity['revision'])[:12])}"
                for identity in system.graders.values()
            ]
            asked = system.counts["asked"] if "asked" in system.counts else None
            rows.append(
                [text(system.name), text(TITLES[protocol]), number(asked, 0), " · ".join(cells)]
            )
    head = ("System", "Protocol", "Replies", "Tagger · judge")
    body = table(head, rows, "Graders of each system", kind="wide")
    return section("graders", "Graders", body, "Numbers compare only under the same graders.")
