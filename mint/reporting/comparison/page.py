"""One page that puts evaluations side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mint.config.evaluation import EvaluationConfig
from mint.evaluation.options import HELD_OUT
from mint.evaluation.people import People
from mint.evaluation.records import EvaluatedReply
from mint.pages import page
from mint.pages.html import number, section, table, text
from mint.reporting.comparison.contestants import Contestant, System, systems_of
from mint.reporting.comparison.curves import curves_section
from mint.reporting.comparison.differences import differences_section
from mint.reporting.comparison.safety import safety_section
from mint.reporting.comparison.samples import samples_section
from mint.reporting.comparison.seeds import seeds_section
from mint.reporting.comparison.tables import protocol_section
from mint.reporting.comparison.tradeoffs import trade_off_section
from mint.reporting.comparison.transitions import tactics_section
from mint.reporting.explorer import replies_table
from mint.reporting.ratings import histograms

TITLES = {
    HELD_OUT: "Held-out turns",
    "lend_an_ear": "Fixed histories (Lend-an-Ear)",
    "free_running": "Free-running dialogues",
    "baselines": "Prompt baselines",
}


def render_comparison(
    contestants: Sequence[Contestant],
    settings: EvaluationConfig,
    mixed: bool,
    correct: bool = True,
    people: People | None = None,
) -> str:
    """The whole page; `mixed` warns that graders differ, `correct` corrects the verdicts of a table
    for their number, `people` are figures to stand beside them (None: those that ship)."""
    protocols = {name: systems for name in TITLES if (systems := systems_of(contestants, name))}
    parts = {
        name: (
            TITLES[name].split(" (")[0],
            protocol_section(name, TITLES[name], systems, settings, correct, people),
        )
        for name, systems in protocols.items()
    }
    parts |= {
        "differences": ("Settings", differences_section(contestants)),
        "seeds": ("Seeds", seeds_section(contestants, settings)),
        "safety": ("Safety", safety_section(contestants, settings.confidence, correct)),
        "tradeoffs": (
            "Trade-offs",
            trade_off_section(protocols, TITLES, contestants, settings, people),
        ),
        "ratings": ("Ratings", histograms(_by_name(protocols))),
        "transitions": ("Tactics", tactics_section(protocols, TITLES)),
        "curves": ("Learning curves", curves_section(contestants, people)),
        "samples": ("Replies", samples_section(protocols, TITLES)),
        "all-replies": ("All replies", replies_table(_by_name(protocols)) if protocols else ""),
        "graders": ("Graders", _graders_section(protocols)),
    }
    head = page.Head(
        title="Comparison · mint report",
        kicker="mint comparison",
        heading=f"{len(contestants)} evaluations",
        about=[contestant.name for contestant in contestants],
        skip_to="results",
        error=(
            "Different graders have graded these evaluations: their numbers do not compare. Shown "
            "because allow_mixed=true."
            if mixed
            else ""
        ),
    )
    links = {anchor: title for anchor, (title, html) in parts.items() if html}
    return page.render(head, links, "".join(html for _, html in parts.values()), "")


def _by_name(protocols: Mapping[str, Sequence[System]]) -> dict[str, tuple[EvaluatedReply, ...]]:
    """Replies of every system, which is named with its protocol where there are several."""
    return {
        f"{system.name} · {TITLES[protocol]}" if len(protocols) > 1 else system.name: system.replies
        for protocol, systems in protocols.items()
        for system in systems
    }


def _graders_section(protocols: Mapping[str, Sequence[System]]) -> str:
    rows = []
    for protocol, systems in protocols.items():
        for system in systems:
            graders = [
                f"{one['name']} {str(one['revision'])[:12]}" for one in system.graders.values()
            ]
            asked = system.counts["asked"] if "asked" in system.counts else None
            cells = (system.name, TITLES[protocol], number(asked, 0), " · ".join(graders))
            rows.append([text(cell) for cell in cells])
    head = ("System", "Protocol", "Replies", "Tagger · judge")
    body = table(head, rows, "Graders of each system", kind="wide")
    return section("graders", "Graders", body, "Numbers compare only under the same graders.")
