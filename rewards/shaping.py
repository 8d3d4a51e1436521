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
    | \b(?:empath(?:y|ic)[ ]+)?tactics?[ ]+(?:used|counts?|so[ ]far|in[ ]this)\b
    | \btactics{_GAP}:
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def leaks_labels(reply: str) -> bool:
    """Whether the visible reply shows tactic labels, headers or counts to the person.

    >>> leaks_labels("**Validation:** that makes sense"), leaks_labels("That makes sense")
    (True, False)
    """
    return _LABEL.search(reply) is not None
