"""The model card of a run: what made the model, what was rewarded, how good and what it is not."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import ModelCard, ModelCardData

import mint
from mint.config.schema import MintConfig
from mint.data.dataset import CARD
from mint.evaluation.people import Reference
from mint.evaluation.statistics.coverage import ONE_RUN, covers
from mint.policy.model_files import is_local
from mint.publishing import figures
from mint.publishing.history import attempts_in_words, files_of, runs_before
from mint.publishing.markdown import block, bullets, code, local, plain, table
from mint.publishing.rewarded import DIALOGUES, grader_rows, reward_lines
from mint.reporting.cautions import warnings_of
from mint.reporting.data import ReportData
from mint.reporting.facts import duration, machine, notes_of
from mint.shell.files import read_json_if_there

_BUILT = {
    "tiny": ("a Qwen3 of about four million parameters, taught on invented conversations", None),
    "smol": (
        "SmolLM2-135M-Instruct, taught on authored conversations to answer briefly",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
}
"""mint.policy.build -> the starting policy in words, and its name on the hub."""
BUILT_LICENCES = {"tiny": "mit", "smol": "apache-2.0"}
_SETTINGS = {
    "Prompts a step": "data.train_batch_size",
    "Replies a prompt": "actor_rollout_ref.rollout.n",
    "Longest reply (tokens)": "data.max_response_length",
    "Sampling temperature": "actor_rollout_ref.rollout.temperature",
    "Learning rate": "actor_rollout_ref.actor.optim.lr",
    "KL loss weight": "actor_rollout_ref.actor.kl_loss_coef",
    "Prompt style": "mint.data.style",
}
_COUNTS = {"conversations": "conversations", "rows": "turns", "people": "people"}
"""What a data set's card counts in a split -> in words."""
_PAPERS = {
    "2604.11742": "Discourse Diversity in Multi-Turn Empathic Dialogue",
    "2604.08479": "the taxonomy of empathy tactics",
    "2506.10150": "the Lend-an-Ear conversations and ratings",
}
"""arXiv number -> what of it is used here; the first is the paper that mint implements."""


class Subject(NamedTuple):
    """What is published."""

    title: str
    repository: str
    """Where it is loaded from, in the examples: USER/NAME, or the folder."""
    licence: str
    """As the hub spells it."""
    system_prompt: str
    probes: Mapping[str, Any] | None
    """Content of probes.json after training."""


def model_card(data: ReportData, config: MintConfig, subject: Subject) -> str:
    """The whole README.md, metadata and text."""
    template = (resources.files("mint.publishing") / "card.md").read_text(encoding="utf-8")
    card = ModelCard.from_template(
        _metadata(data, config, subject), template_str=template, **_texts(data, config, subject)
    )
    return re.sub(r"\n{3,}", "\n\n", str(card)).rstrip() + "\n"


def _metadata(data: ReportData, config: MintConfig, subject: Subject) -> ModelCardData:
    held_out, revision = _held_out(data)
    results = figures.eval_results(data, held_out, revision)
    base = _base(data, config)[1]
    return ModelCardData(
        language="en",
        license=subject.licence,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["mint", "grpo", "reinforcement-learning", "empathy", "conversational"],
        base_model=base,
        base_model_relation=None if base is None else "finetune",
        model_name=subject.title,
        eval_results=results or None,
    )


def _texts(data: ReportData, config: MintConfig, subject: Subject) -> dict[str, Any]:
    manifest = data.manifest or {}
    return {
        "title": plain(subject.title),
        "repository": subject.repository.replace('"', ""),
        "intro": _intro(data, config),
        "max_new_tokens": _longest_reply(config),
        "prompt_note": _prompt_note(config, subject),
        "training": table(("", ""), _training(data, config)),
        "command": block(local(manifest["command"]), "sh") if manifest else "Not recorded.",
        "attempts": attempts_in_words(manifest),
        "data": _data(data),
        "reward": bullets(reward_lines(config)),
        "graders": table(
            ("Grader", "Which", "Revision", "In the reward"), grader_rows(data, config)
        ),
        "results_note": _results_note(data.after, data.people, config),
        "results": figures.results_table(data)
        or "**Not measured**: the run has no evaluation of held-out conversations.",
        "cautions": _cautions(data),
        "probes": _probes(subject.probes),
        "canaries": figures.canaries_table(data) or "No bad replies were graded in this run.",
        "limits": bullets(plain(note) for note in notes_of(data)),
        "licence": _licence(data, config, subject),
        "citations": "\n".join(_citations()),
        "mint_version": mint.__version__,
    }


def _intro(data: ReportData, config: MintConfig) -> str:
    start = _base(data, config)[0]
    if config.task == "dialogues":
        how = "in whole conversations with a simulated person whose emotion is the reward"
    else:
        how = (
            "to write supporters' replies that are rated as empathic and do not repeat the tactics "
            "of the turn before (MINT, [arXiv 2604.11742](https://arxiv.org/abs/2604.11742))"
        )
    method = "PPO" if data.setting("algorithm.adv_estimator") == "gae" else "GRPO"
    return f"{start[:1].upper()}{start[1:]}, trained by reinforcement learning ({method}) {how}."


def _base(data: ReportData, config: MintConfig) -> tuple[str, str | None]:
    """The starting policy in words, and its name on the hub where it has one."""
    if config.policy.build in _BUILT:
        return _BUILT[config.policy.build]
    path = str(data.setting("actor_rollout_ref.model.path"))
    return (plain(Path(path).name), None) if is_local(path) else (path, path)


def _prompt_note(config: MintConfig, subject: Subject) -> str:
    said = (
        "In training the system message was written anew for every turn (style "
        f"{code(config.data.style)}): `mint.data.prompts.system_prompt` writes it, and the one of "
        "a first turn is\n\n"
    )
    if config.task == "dialogues":
        said = "The system message of training, the same in every turn:\n\n"
    return said + block(subject.system_prompt)


def _training(data: ReportData, config: MintConfig) -> Iterator[tuple[str, str]]:
    manifest = data.manifest
    yield "Starting policy", _base(data, config)[0]
    if data.steps:
        yield "Steps", str(data.steps[-1])
    for title, key in _SETTINGS.items():
        if (value := data.setting(key)) is not None:
            yield title, plain(value)
    if manifest is None:
        return
    for before in runs_before(manifest):
        yield "Trained before", f"{code(local(before['command']))}, on {files_of(before)}"
    if manifest.get("model"):
        yield "Fingerprint of its weights", code(str(manifest["model"])[:16])
    if manifest["recipe"]:
        yield "Recipe", plain(manifest["recipe"])
    if "export" in manifest:
        chosen = manifest["export"]
        yield "Published step", plain(f"{chosen['step']} ({chosen['which']}: {chosen['reason']})")
    yield "Started", plain(manifest["started"])
    if took := duration(manifest):
        yield "Time", f"{took}, evaluations included"
    yield "Machine", plain(machine(manifest["machine"]))
    yield "Seeds", plain(", ".join(f"{k} {v}" for k, v in manifest["seeds"].items()))
    git = manifest["git"]
    if git is not None:
        yield "mint", code(git["revision"][:12]) + (" with local changes" if git["dirty"] else "")
    yield "Packages", plain(", ".join(f"{k} {v}" for k, v in manifest["packages"].items()))


def _longest_reply(config: MintConfig) -> int:
    """Tokens of one reply: in conversations the budget of a turn."""
    talks = config.task == DIALOGUES
    return config.dialogue.turn_tokens if talks else config.evaluation.max_new_tokens


def _data(data: ReportData) -> str:
    """Files with hashes, and what the data set's card says of them. No conversation is named."""
    if data.manifest is None:
        return "Not recorded."
    files = data.manifest["data"]
    rows = [[plain(Path(path).name), code(str(sha)[:16])] for path, sha in files.items()]
    said = [table(("File", "SHA-256 (start)"), rows)]
    cards = (read_json_if_there(Path(path).with_name(CARD)) for path in files)
    card = next((one for one in cards if isinstance(one, dict)), None)
    if card is not None and "splits" in card:
        said += [
            bullets(
                f"{plain(name)}: "
                + ", ".join(f"{row[key]} {words}" for key, words in _COUNTS.items() if key in row)
                for name, row in card["splits"].items()
            )
        ]
    if card is not None and "conversations_by_source" in card:
        sources = ", ".join(plain(f"{k} ({v})") for k, v in card["conversations_by_source"].items())
        said.append(f"Sources (conversations): {sources}.")
    said.append("The conversations themselves are not part of this folder.")
    return "\n\n".join(said)


def _held_out(data: ReportData) -> tuple[str, str | None]:
    """Name and hash of the held-out data."""
    files = {} if data.manifest is None else data.manifest["data"]
    path = next((p for p in files if "val" in Path(p).name), None)
    return "held-out conversations", None if path is None else str(files[path])


def _results_note(after: Mapping[str, Any] | None, people: Reference, config: MintConfig) -> str:
    if after is None:
        return ""
    settings = after["settings"]
    talks = config.task == DIALOGUES
    asked = "dialogues with each held-out person" if talks else "replies to each held-out turn"
    sampled = f"{settings['samples_per_prompt']} {asked} at temperature {settings['temperature']:g}"
    return (
        f"{sampled}. ↑ higher is better, ↓ lower is better. "
        f"{covers(settings['confidence'], ONE_RUN)} {plain(people.note)}"
    )


def _cautions(data: ReportData) -> str:
    """What the run's report warns of."""
    found = [] if data.comparison is None else list(warnings_of(data, data.comparison))
    if data.manifest and data.manifest.get("export", {}).get("warning"):
        found.insert(0, data.manifest["export"]["warning"])
    if not found:
        return ""
    return "Look out for:\n\n" + bullets(plain(html.unescape(line)) for line in found)


def _probes(probes: Mapping[str, Any] | None) -> str:
    if probes is None:
        return (
            "**Not measured.** `mint evaluate run=RUN protocol=probes` asks them, and publishing "
            "again puts the result here."
        )
    return (
        "Rules look for phrases; they are no clinical judgement. "
        f"{covers(probes['confidence'], probes['intervals_are_over'])}\n\n"
        + figures.probes_table(probes)
    )


def _licence(data: ReportData, config: MintConfig, subject: Subject) -> str:
    start, name = _base(data, config)
    of = f"of the starting policy ({name or start}) " if config.policy.build != "tiny" else ""
    before = "".join(
        f" What it was trained on before ({files_of(row)}) has licences of its own."
        for row in runs_before(data.manifest or {})
    )
    return (
        f"{code(subject.licence)}. The licence {of}holds for these weights; mint itself is under "
        f"the MIT licence.{before}"
    )


def _citations() -> Iterator[str]:
    for arxiv, what in _PAPERS.items():
        yield (
            f"@misc{{arxiv_{arxiv.replace('.', '_')},\n  note = {{{what}}},\n"
            f"  eprint = {{{arxiv}}},\n  archivePrefix = {{arXiv}},\n"
            f"  url = {{https://arxiv.org/abs/{arxiv}}}\n}}"
        )
