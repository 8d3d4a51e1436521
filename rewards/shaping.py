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
_LABEL = re.compile(
    rf"""
      ^\s*(?:[-*\d.)\s]*)[*_]{{1,3}}\s*(?:{_WORDS})\s*:?\s*[*_]{{1,3}}   # **Validation** at line start
    | [*_]{{1,3}}\s*(?:{_WORDS})\s*(?::\s*[*_]{{1,3}}|[*_]{{1,3}}\s*:)   # **Validation:** anywhere
    | ^\s*\#{{1,6}}\s*(?:{_WORDS})\b                                     # ## Validation
    | ^\s*[\[(]\s*(?:{_WORDS})\s*[\])]                                   # (validation) at line start
    | [\[(]\s*(?:{_WORDS})\s*[\])]\s*$                                   # ... (validation) at line end
    | ^\s*(?:\d+[.)]\s*)?(?:{_WORDS})\s*:                                # Validation: ...
    | \b(?:empath(?:y|ic)\s+)?tactics?\s+(?:used|counts?|so\s+far|in\s+this)\b
    | \btactics\s*:
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def leaks_labels(reply: str) -> bool:
    """Whether the visible reply shows tactic labels, headers or counts to the person.

    >>> leaks_labels("**Validation:** that makes sense"), leaks_labels("That makes sense")
    (True, False)
    """
    return _LABEL.search(reply) is not None
