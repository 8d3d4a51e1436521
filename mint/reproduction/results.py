"""From a folder of released files to everything that is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mint.evaluation.metrics import bert_score
from mint.evaluation.statistics.bootstrap import resample_counts
from mint.reproduction.compare import Comparison, compare_all
from mint.reproduction.experts import Agreement, agreement, read_experts
from mint.reproduction.measure import Measured, measure
from mint.reproduction.panel import Panel, build_panel
from mint.reproduction.published import (
    Cell,
    ClaimCheck,
    Published,
    check_cells,
    check_claim,
    load,
)
from mint.reproduction.read import find_systems, read_system, without_replies
from mint.reproduction.settings import ReproduceSettings
from mint.reproduction.sums import sums_of
from mint.reproduction.surface import SurfaceCheck, check_surface
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES

Step = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how many."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """All that is known; systems in the published order, then the others by name."""

    settings: ReproduceSettings
    published: Published
    judge: str
    num_conversations: int
    num_turns: int
    num_pairs: int
    previous_turns: Mapping[str, int]
    """Tactic -> turns before that have it, among the pairs: what stickiness rests on."""
    systems: Mapping[str, Measured]
    absent: tuple[str, ...]
    """Published systems that are not in the folder."""
    without_replies: tuple[str, ...]
    """Folders of ratings or outputs that are no systems, because they hold no tagged replies."""
    cells: tuple[Cell, ...]
    claims: tuple[ClaimCheck, ...]
    surface: tuple[SurfaceCheck, ...]
    agreement: tuple[Agreement, ...]
    """Empty when there are no expert ratings."""
    comparisons: Mapping[str, tuple[Comparison, ...]]

    @property
    def num_reproduced(self) -> int:
        """Cells of the main table within the tolerance."""
        return sum(cell.reproduces for cell in self.cells)

    def label(self, folder: str) -> str:
        """What to call a system."""
        return self.published.label(self.systems[folder].name)


def reproduce(settings: ReproduceSettings, step: Step) -> Results:
    """Read, measure and compare everything.

    Raises ConfigError or DataError, with file and row, for files that are not as released.
    """
    upstream = Path(str(settings.upstream))
    if not upstream.is_dir():
        raise ConfigError(f"upstream={settings.upstream} is not a folder")
    published = load()
    folders = find_systems(upstream, settings.skip)
    read = []
    for number, folder in enumerate(folders):
        step("read", number, len(folders))
        read.append(read_system(upstream, folder))
    panel = build_panel(read, settings.reference)
    systems, comparisons = _measure(panel, settings, published, step)
    observed = {name: one.values for name, one in systems.items()}
    stickiness = {name: values["stickiness"] for name, values in observed.items()}
    experts_ECD = read_experts(upstream, panel.turns.conversations)
    bert = None
    if settings.bertscore_model:
        bert = bert_score.load(settings.bertscore_model, settings.bertscore_layer)
    before_PK = panel.reference.tactics_NK[panel.turns.earlier_P]
    return Results(
        settings=settings,
        published=published,
        judge=panel.judge,
        num_conversations=len(panel.turns.conversations),
        num_turns=len(panel.turns.keys),
        num_pairs=len(panel.turns.later_P),
        previous_turns=dict(zip(TACTIC_NAMES, before_PK.sum(axis=0).tolist(), strict=True)),
        systems=systems,
        absent=tuple(name for name in published.systems if name not in folders),
        without_replies=tuple(without_replies(upstream, settings.skip)),
        cells=tuple(check_cells(published, observed)),
        claims=tuple(
            check_claim(claim, observed, published.claim_tolerance) for claim in published.claims
        ),
        surface=tuple(check_surface(published, upstream, panel, stickiness, bert)),
        agreement=() if experts_ECD is None else agreement(panel, experts_ECD, settings),
        comparisons=comparisons,
    )


def _measure(
    panel: Panel, settings: ReproduceSettings, published: Published, step: Step
) -> tuple[dict[str, Measured], dict[str, tuple[Comparison, ...]]]:
    order = list(published.systems)
    systems = sorted(panel.systems, key=lambda s: s.name.folder)
    systems.sort(key=lambda s: order.index(s.name.folder) if s.name.folder in order else len(order))
    groups = len(panel.turns.conversations)
    drawn_RC = resample_counts(groups, settings.resamples, settings.seed)
    sums, measured = {}, {}
    for number, system in enumerate(systems):
        step("measure", number, len(systems))
        own = sums[system.name.folder] = sums_of(panel, system)
        measured[system.name.folder] = measure(panel, system, own, drawn_RC, settings)
    step("compare", 0, 1)
    drawn_RC = resample_counts(groups, settings.comparison_resamples, settings.seed)
    return measured, compare_all(sums, drawn_RC, settings.confidence)
