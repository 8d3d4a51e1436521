"""What the systems say to the same prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mint.evaluation.records import EvaluatedReply
from mint.pages.html import more, section, text
from mint.pages.replies import conversation, seeker, side, side_by_side, tactic_legend, tagged_reply
from mint.reporting.comparison.contestants import System
from mint.reporting.data import spread
from mint.reporting.replies import reply_scores

_PROMPTS = 6


def samples_section(protocols: Mapping[str, Sequence[System]], titles: Mapping[str, str]) -> str:
    """Replies side by side, for prompts that all systems of a protocol have answered."""
    blocks = []
    for protocol, systems in protocols.items():
        replies = {system.name: _by_turn(system) for system in systems if system.replies}
        if not replies:
            continue
        shared = set.intersection(*(set(own) for own in replies.values()))
        places = spread(sorted(shared), _PROMPTS)
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
    # Free-running dialogues differ from their first turn on.
    alike = all(reply.history == first.history for reply in replies.values())
    same = all(reply.seeker == first.seeker for reply in replies.values())
    top = f'<p class="earlier">{text(first.conversation_id)}, turn {first.turn + 1}</p>'
    sides = []
    for name, reply in replies.items():
        earlier = "" if alike or not reply.history else conversation(reply.history)
        said = more("The conversation so far", earlier) if earlier else ""
        said += "" if same else seeker(reply.seeker)
        said += tagged_reply(reply.sentences, reply.tactics, reply.reply)
        last = " · cut off" if reply.truncated else ""
        sides.append(side(name, said, reply_scores(reply, last=last)))
    if alike:
        top += conversation(first.history)
    return side_by_side(top + (seeker(first.seeker) if same else ""), sides)
