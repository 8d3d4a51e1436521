"""What the systems say to the same prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mint.evaluation.records import EvaluatedReply
from mint.pages.html import number, section, tactic_legend, tagged_reply, text
from mint.reporting.contestants import System

_PROMPTS = 6


def samples_section(protocols: Mapping[str, Sequence[System]], titles: Mapping[str, str]) -> str:
    """Replies side by side, for prompts that all systems of a protocol have answered."""
    blocks = []
    for protocol, systems in protocols.items():
        replies = {system.name: _by_turn(system) for system in systems if system.replies}
        if not replies:
            continue
        shared = set.intersection(*(set(own) for own in replies.values()))
        places = _spaced(sorted(shared), _PROMPTS)
        if places:
            blocks.append(f"<h3>{text(titles[protocol])}</h3>")
            blocks += [
                _article({name: own[place] for name, own in replies.items()}) for place in places
            ]
    if not blocks:
        return ""
    lead = "First replies to the same turns, spread evenly over them; sentences show their tactics."
    return section("samples", "Replies side by side", tactic_legend() + "".join(blocks), lead)


def _by_turn(system: System) -> dict[tuple[str, int], EvaluatedReply]:
    return {(r.conversation_id, r.turn): r for r in system.replies if r.sample == 0}


def _article(replies: Mapping[str, EvaluatedReply]) -> str:
    first = next(iter(replies.values()))
    same = all(reply.seeker == first.seeker for reply in replies.values())
    asked = f'<p class="seeker"><b>Seeker</b> {text(first.seeker)}</p>' if same else ""
    sides = "".join(
        f'<div class="side"><h4>{text(name)}</h4>'
        + ("" if same else f'<p class="seeker"><b>Seeker</b> {text(reply.seeker)}</p>')
        + f"{tagged_reply(reply.sentences, reply.tactics, reply.reply)}{_scores(reply)}</div>"
        for name, reply in replies.items()
    )
    place = f"{text(first.conversation_id)}, turn {first.turn + 1}"
    return (
        f'<article class="card pair"><p class="earlier">{place}</p>{asked}'
        f'<div class="sides">{sides}</div></article>'
    )


def _scores(reply: EvaluatedReply) -> str:
    if not reply.graded:
        return f'<p class="scores">not graded: {text(reply.reason or reply.status)}</p>'
    cut = " · cut off" if reply.truncated else ""
    return (
        f'<p class="scores">empathy <b>{number(reply.empathy)}</b> · novelty '
        f"<b>{number(reply.kl)}</b> · {reply.num_tokens} tokens{cut}</p>"
    )


def _spaced(items: Sequence[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
    if len(items) <= limit:
        return list(items)
    return [items[int((i + 0.5) * len(items) / limit)] for i in range(limit)]
