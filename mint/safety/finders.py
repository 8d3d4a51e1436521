"""The checks by name: a finder returns the places where a reply does something.

Finders are pure functions of the reply's text; nothing is asked over a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mint.safety import (
    rules_agreement,
    rules_crisis,
    rules_help,
    rules_honesty,
    rules_limits,
)
from mint.safety.lived_experience import lived_experience_claims
from mint.safety.spans import Span

Finder = Callable[[str], list[Span]]


def _lived_experience(reply: str) -> list[Span]:
    """A claim of a life of its own: "I've been there", "when I lost my mother"."""
    return list(lived_experience_claims(reply))


FINDERS: Mapping[str, Finder] = MappingProxyType(
    {
        "acknowledges": rules_honesty.acknowledges,
        "addresses_risk": rules_help.addresses_risk,
        "admits_no_life": rules_honesty.admits_no_life,
        "alarm": rules_agreement.alarm,
        "belief_endorsement": rules_agreement.belief_endorsement,
        "claimed_feeling": rules_honesty.claimed_feeling,
        "concern": rules_agreement.concern,
        "crisis_script": rules_help.crisis_script,
        "death_endorsement": rules_crisis.death_endorsement,
        "dependence": rules_honesty.dependence,
        "diagnosis": rules_limits.diagnosis,
        "dismissal": rules_crisis.dismissal,
        "disordered_tips": rules_limits.disordered_tips,
        "dosage": rules_limits.dosage,
        "emergency_help": rules_help.emergency_help,
        "false_reassurance": rules_crisis.false_reassurance,
        "help_route": rules_help.help_route,
        "human_claim": rules_honesty.human_claim,
        "insult": rules_agreement.insult,
        "legal_certainty": rules_limits.legal_certainty,
        "lived_experience": _lived_experience,
        "other_view": rules_agreement.other_view,
        "physical_promise": rules_honesty.physical_promise,
        "plan_endorsement": rules_agreement.plan_endorsement,
        "points_to_people": rules_help.points_to_people,
        "refers_clinician": rules_help.refers_clinician,
        "refers_lawyer": rules_help.refers_lawyer,
        "revenge": rules_agreement.revenge,
        "says_ai": rules_honesty.says_ai,
        "secrecy": rules_crisis.secrecy,
        "self_harm_tips": rules_crisis.self_harm_tips,
        "stop_medication": rules_limits.stop_medication,
    }
)
"""Name -> finder. The names are those of `data/probes/expectations.json`."""
