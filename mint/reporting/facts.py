"""The end of the page: what produced the run, who graded it, and how far to trust it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from mint.pages.html import (
    code,
    facts,
    grid,
    listed,
    missing,
    more,
    section,
    spaced,
    table,
    text,
)
from mint.reporting.cards import figures_of
from mint.reporting.data import ReportData
from mint.rundir.manifest import attempts_of

_SETTINGS = {
    "Model": "actor_rollout_ref.model.path",
    "Prompts a step": "data.train_batch_size",
    "Replies a prompt": "actor_rollout_ref.rollout.n",
    "Sampling temperature": "actor_rollout_ref.rollout.temperature",
    "Longest reply (tokens)": "data.max_response_length",
    "Learning rate": "actor_rollout_ref.actor.optim.lr",
    "KL loss weight": "actor_rollout_ref.actor.kl_loss_coef",
    "Reward mode": "mint.reward.mode",
    "Length target (tokens)": "mint.reward.length_target_tokens",
    "Prompt style": "mint.data.style",
    "Device": "trainer.device",
}
_GPU_STACK = {"driver": "driver", "cuda": "CUDA"}
_SMALL = {"tiny": "about four million", "smol": "135 million"}
"""Parameters of the policies that a run builds for itself, by mint.policy.build."""


def facts_section(data: ReportData) -> str:
    """Everything needed to repeat the run."""
    manifest = data.manifest
    if manifest is None:
        body = missing("manifest.json is missing: versions, seeds and hashes are not known.")
    else:
        body = facts(dict(_identity(manifest))) + _attempts(manifest)
    values = {title: data.setting(key) for title, key in _SETTINGS.items()}
    settings = {title: text(value) for title, value in values.items() if value is not None}
    if settings:
        body += "<h3>Settings</h3>" + facts(settings)
    if manifest is not None:
        for title, heads, caption, rows in (
            ("Package versions", ("Package", "Version"), "Packages", manifest["packages"]),
            ("Data files", ("File", "SHA-256"), "Data files", manifest["data"]),
        ):
            cells = [[text(name), code(value)] for name, value in rows.items()]
            body += more(title, table(heads, cells, caption))
    return section("facts", "Run facts", body)


def graders_section(data: ReportData) -> str:
    """Which graders scored the replies, and how good they are."""
    title = "Graders"
    if not data.graders:
        return section("graders", title, missing("The identity of the graders was not recorded."))
    blocks = [
        _grader(name, identity, data.cards.get(name)) for name, identity in data.graders.items()
    ]
    lead = (
        "The same graders score training and evaluation. A policy can learn to please a grader, so "
        "a gain here is a gain in the eyes of these graders, not yet of people."
    )
    return section("graders", title, grid(blocks), lead)


def notes_section(data: ReportData) -> str:
    """How far the numbers reach."""
    return section("notes", "How far to trust this", listed(map(text, notes_of(data))))


def duration(manifest: Mapping[str, Any]) -> str:
    """Time from start to end, e.g. "12 min"; "" while it is not known."""
    if not manifest["finished"]:
        return ""
    start, end = (datetime.fromisoformat(manifest[key]) for key in ("started", "finished"))
    minutes = (end - start).total_seconds() / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def machine(row: Mapping[str, Any]) -> str:
    """What `mint.rundir.manifest.machine_facts` has recorded, in words."""
    said = ["{system} {architecture}, {cpu_cores} CPU cores".format(**row)]
    if row.get("cpu"):
        said.append(str(row["cpu"]))
    if row.get("memory_gib"):
        said.append(f"{row['memory_gib']:.0f} GiB of memory")
    if row.get("disk_free_gib"):
        said.append(f"{row['disk_free_gib']:.0f} GiB of disk free at the start")
    for gpu, count in Counter(row.get("gpus") or ()).items():
        said.append(f"{count} x {gpu}")
    said += [f"{title} {row[key]}" for key, title in _GPU_STACK.items() if row.get(key)]
    return ", ".join(said)


def _identity(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Status", text(manifest["status"])
    if manifest["error"]:
        yield "Error", text(manifest["error"])
    if manifest["recipe"]:
        yield "Recipe", text(manifest["recipe"])
    yield "Command", code(manifest["command"])
    yield "Started", text(manifest["started"])
    yield "Finished", text(manifest["finished"] or "not yet")
    if took := duration(manifest):
        # What a run builds for itself, data or a policy, comes before its manifest.
        yield "Took", text(f"{took}, without what was built before (data, a policy)")
    if manifest.get("start_s"):
        seconds = manifest["start_s"]
        phases = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
        yield "Start", text(f"{sum(seconds.values()):.0f} s until the first step ({phases})")
    git = manifest["git"]
    if git is not None:
        changed = " with local changes" if git["dirty"] else ""
        yield "Revision", code(git["revision"][:12]) + changed
    yield "mint / Python", text(f"{manifest['mint']} / {manifest['python']}")
    yield "Machine", text(machine(manifest["machine"]))
    seeds = ", ".join(f"{name} {seed}" for name, seed in manifest["seeds"].items())
    yield "Seeds", text(seeds or "none recorded")


def _attempts(manifest: Mapping[str, Any]) -> str:
    """The starts of a run that has been continued; "" for one that has not."""
    attempts = attempts_of(manifest)
    if len(attempts) < 2:
        return ""
    heads = ("Started", "Ended", "From step", "Command", "Changed", "Error")
    cells = [
        [
            text(attempt["started"]),
            text(attempt["ended"] or "-"),
            text(attempt["from_step"]),
            code(attempt["command"]),
            text("; ".join(_changes(attempt)) or "-"),
            text(attempt["error"] or "-"),
        ]
        for attempt in attempts
    ]
    return more("Attempts", table(heads, cells, "The starts of this run"))


def _changes(attempt: Mapping[str, Any]) -> Iterator[str]:
    for key, (then, now) in attempt["config_diff"].items():
        yield f"{key}: {then} -> {now}"
    for name, version in attempt.get("packages", {}).items():
        yield f"{name} {version}"


def _grader(name: str, identity: Mapping[str, Any], card: Mapping[str, Any] | None) -> str:
    rows = {
        "Kind": text(f"{identity['kind']} {identity['name']}"),
        "Revision": code(str(identity["revision"])[:16]),
    }
    rows |= {
        spaced(key).capitalize(): code(str(value)[:48])
        for key, value in identity["details"].items()
        if isinstance(value, str | int | float)
    }
    note = missing("No metric card for these weights is at hand.")
    if card is not None:
        heads = ("Held-out figure", "Value")
        note = table(heads, figures_of(card), f"Held-out figures of the {name}")
    return f'<div class="card"><h3>{text(name.capitalize())}</h3>{facts(rows)}{note}</div>'


def notes_of(data: ReportData) -> Iterator[str]:
    """The same, a line each, as plain text."""
    for name in data.left_out:
        yield f"The last line of {name} is half a row, whose writer was killed: it is left out."
    graders = data.manifest["graders"] if data.manifest is not None else {}
    if "judge" in graders and graders["judge"]["name"] == "embedded":
        yield (
            "The empathy judge is a small regression on sentence embeddings, made to run "
            "everywhere. It imitates ratings of a larger judge and is easier to mislead than one; "
            "use it to check that training works, and a stronger judge or people for claims."
        )
    if (build := data.setting("mint.policy.build")) in _SMALL:
        yield (
            f"The policy has {_SMALL[build]} parameters and was warmed up on invented "
            "conversations. This run demonstrates the whole method on a small machine; its replies "
            "are no support for a person in distress."
        )
    if data.setting("mint.task") != "dialogues":
        yield (
            "Replies are given to fixed conversations: the previous turn is the recorded "
            "supporter's, not the policy's own. Whether the policy repeats itself in a free "
            "conversation is not measured here."
        )
    yield (
        "Stickiness grows with the number of tactics in a reply. Repetition beyond chance is free "
        "of that and should be read with it."
    )
    yield (
        "Intervals describe the choice of held-out conversations. They do not cover the randomness "
        "of training: another seed can give another policy."
    )
