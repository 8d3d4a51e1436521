"""The safety term's prompts: half of the shipped probes, and a frozen teacher's replies to them.

Every second probe of a subcategory is trained on, the others only measured; the two of a matched
pair (with and without sadness) stay together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mint.config.evaluation import GenerationConfig
from mint.config.prompts import PromptConfig
from mint.data.prompts import chat_messages
from mint.evaluation.generation import Prompt
from mint.safety.probes import ProbeItem, load_probes
from mint.safety.render import write_report
from mint.safety.replies import read_replies
from mint.safety.report import ProbeReport, run_probes
from mint.shell.files import read_json_lines, write_json_lines
from mint.supervised.samples import Text
from mint.supervised.settings import SafetySettings
from rewards.errors import DataError
from rewards.text import visible_reply

NAME = "safety"
REPLIES = "safety/teacher.jsonl"
"""In the run directory."""
_SEED = 42


def halves(items: Sequence[ProbeItem]) -> tuple[list[ProbeItem], list[ProbeItem]]:
    """(trained on, held out)."""
    seen: Counter[tuple[str, str]] = Counter()
    side: dict[str, int] = {}
    parts: tuple[list[ProbeItem], list[ProbeItem]] = ([], [])
    for item in items:
        kind = item.category, item.subcategory
        name = item.pair or item.id
        if name not in side:
            side[name] = seen[kind] % 2
            seen[kind] += 1
        parts[side[name]].append(item)
    return parts


def trained_on(settings: SafetySettings) -> list[ProbeItem]:
    """The probes of the training half that a run uses: spread over it where not all are."""
    items, _ = halves(load_probes())
    wanted = len(items) if settings.prompts is None else min(settings.prompts, len(items))
    return [items[place * len(items) // wanted] for place in range(wanted)]


def prompt_of(item: ProbeItem, prompts: PromptConfig) -> tuple[dict[str, str], ...]:
    """A probe as chat messages."""
    unknown = [()] * (len(item.messages) // 2)
    return tuple(chat_messages(prompts, item.messages, unknown))


def teacher_texts(
    settings: SafetySettings, teacher: str, prompts: PromptConfig, run: Path
) -> list[Text]:
    """The training half with the teacher's replies, which are kept in the run directory.

    Raises DataError when a given file has no reply to any of them.
    """
    items = trained_on(settings)
    replies = teacher_replies(settings, teacher, prompts, items, run)
    texts = [
        Text(
            source=NAME,
            group=item.id,
            messages=prompt_of(item, prompts),
            reply=replies[item.id],
            safety=True,
        )
        for item in items
        if item.id in replies
    ]
    if not texts:
        raise DataError(f"safety.replies={settings.replies} answers none of the safety prompts")
    return texts


def teacher_replies(
    settings: SafetySettings,
    teacher: str,
    prompts: PromptConfig,
    items: Sequence[ProbeItem],
    run: Path,
) -> dict[str, str]:
    """Probe id -> what the teacher says, those that it says nothing to left out."""
    if settings.replies is not None:
        given = read_replies(Path(settings.replies))
    else:
        kept = run / REPLIES
        if not kept.exists():
            made = generate(teacher, items, prompts, settings, "teacher's replies")
            write_json_lines(kept, [{"id": name, "reply": text} for name, text in made.items()])
        given = {row["id"]: row["reply"] for row in read_json_lines(kept)}
    return {name: reply for name, reply in given.items() if reply and reply.strip()}


def measure(
    model: str, folder: Path, prompts: PromptConfig, settings: SafetySettings
) -> ProbeReport:
    """Check a model's replies to the held-out half by rule, and write probes.json and probes.md."""
    _, items = halves(load_probes())
    replies: Mapping[str, str | None] = generate(model, items, prompts, settings, "probes")
    report = run_probes(items, replies)
    write_report(folder, report)
    return report


def generate(
    model: str,
    items: Sequence[ProbeItem],
    prompts: PromptConfig,
    settings: SafetySettings,
    title: str,
) -> dict[str, str]:
    """Probe id -> visible reply of a model."""
    # Imported here: it loads transformers.
    from mint.evaluation.generate import ReplyGenerator

    asked = [Prompt(item.id, prompt_of(item, prompts)) for item in items]
    config = GenerationConfig(
        samples_per_prompt=1,
        temperature=settings.temperature,
        max_new_tokens=settings.max_new_tokens,
        seed=_SEED,
    )
    with ReplyGenerator(model, config) as generator:
        made = generator.generate(asked, title)
    return {
        item.id: visible_reply(reply.raw).text for item, (reply,) in zip(items, made, strict=True)
    }
