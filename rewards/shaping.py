"""Detection of replies that name their tactics instead of using them (MINT's format violation)."""

from __future__ import annotations

import re

_WORDS = (
    r"informat(?:ion|ive)|informing|assist(?:ance|ing)|advi[cs](?:e|ing)|validat(?:e|ion|ing)"
    r"|emotional[ _]expression|paraphras(?:e|ing)|self[-_ ]disclos(?:e|ure|ing)"
    r"|question(?:ing)?|reapprais(?:e|al|ing)|refram(?:e|ing)|empower(?:ment|ing)?"
)
# Position matters: "**information**" in running text is ordinary emphasis, not a label, so a
# decorated tactic word only counts at the start of a line or before a colon. The paper's code
# counts it anywhere and thereby punishes ordinary words.
# White space is bounded and stays within the line, so that degenerate replies cost linear time.
_NAMES = (
    r"information|assistance|advice|validation|emotional[ _]expression|paraphras(?:e|ing)"
    r"|self[-_ ]disclosure|questioning|reappraisal|reframing|empowerment"
)
"""What the ten tactics are called; in prose after a colon other words mean what they say."""
_GAP = r"[^\S\n]{0,8}"
_LABEL = re.compile(
    rf"""
      ^{_GAP}(?:(?:[-*\u2022]|\d{{1,3}}[.)]){_GAP})?[*_]{{1,3}}{_GAP}
          (?:\d{{1,3}}[.)]{_GAP})?(?:{_WORDS}){_GAP}:?{_GAP}[*_]{{1,3}} # - **Validation**
    | [*_]{{1,3}}{_GAP}(?:{_WORDS}){_GAP}
          (?::{_GAP}[*_]{{1,3}}|[*_]{{1,3}}{_GAP}:)                       # **Validation:**
    | ^{_GAP}\#{{1,6}}{_GAP}(?:{_WORDS})\b # ## Validation
    | ^{_GAP}[\[(]{_GAP}(?:{_WORDS}){_GAP}[\])] # (validation) at line start
    | [\[(]{_GAP}(?:{_WORDS}){_GAP}[\])]{_GAP}$ # ... (validation) at line end
    | ^{_GAP}(?:\d{{1,3}}[.)]{_GAP})?(?:{_WORDS}){_GAP}: # Validation: ...
    | \bempath(?:y|ic)[ ]+tactics?[ ]+(?:used|counts?|so[ ]far|in[ ]this)\b
    | \btactics?[ ]+(?:used|counts?|so[ ]far)\b[^.!?\n]{{0,20}}
          \b(?:\d{{1,2}}|one|two|three|four|five|six|seven|eight|nine|ten)\b # The count is 3
    | \btactics?(?:[ ]+(?:used|counts?|so[ ]far|in[ ]this[ ]\w{{1,12}}))?{_GAP}
          [:=-][^.!?\n]{{0,60}}\b(?:{_NAMES})\b               # Tactics used: validation, ...
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def leaks_labels(reply: str) -> bool:
    """Whether the visible reply shows tactic labels, headers or counts to the person.

    >>> leaks_labels("**Validation:** that makes sense"), leaks_labels("That makes sense")
    (True, False)
    """
    return _LABEL.search(reply) is not None
