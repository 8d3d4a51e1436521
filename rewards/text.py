"""From raw policy output to the visible reply and its sentences."""

from __future__ import annotations

import re
from typing import NamedTuple

from rewards.thoughts import opened_thought, without_thoughts
from rewards.types import Status

# Every run of sentence-end marks, with the quotes and brackets that close on it, before white space
# ends a sentence; a lower-case word after it keeps it open only after an ellipsis, because people
# type without capitals. These are the boundaries of the tokenizer behind the released tags, whose
# per-sentence labels the graders are fitted on. On the 3,780 released replies this gives the
# released number of sentences for 99.6 %; the library pysbd for 82 %, untrained Punkt for 97 %.
# Possessive, so that a policy that degenerates to pages of dots is still split in linear time.
_BOUNDARY = re.compile(r"""(?<![.?!])[.?!]++["')\]}*]*+(?=\s+(?P<next>\S)?)""")
_LONGEST_TOKEN = 16
_LIST_NUMBER = re.compile(r"\(?\d{1,3}\.")
_INITIAL = re.compile(r"[A-HJ-Z]\.")
_ABBREVIATION = re.compile(
    r"(?:mrs?|ms|dr|prof|st|[js]r|vs|e\.g|i\.e|approx|dept|inc|ltd|co|fig|p\.s)\."
)


class VisibleReply(NamedTuple):
    """What the person would read, and whether there is anything to grade."""

    text: str
    """White space stripped at both ends; "" unless status is OK."""
    status: Status
    """OK, EMPTY or TRUNCATED_THINK."""


def visible_reply(raw: str) -> VisibleReply:
    """The text without its private thoughts (`rewards.thoughts`), or "" with the reason why.

    TRUNCATED_THINK when nothing is said before a thought that is still open at the end, EMPTY when
    no letter or digit of any script remains. Other special tokens are the caller's to strip.

    >>> visible_reply("<think>hm</think> I hear you.")
    VisibleReply(text='I hear you.', status=<Status.OK: 'ok'>)
    """
    text, cut_off = without_thoughts(raw)
    if any(character.isalnum() for character in text):
        return VisibleReply(text, Status.OK)
    return VisibleReply("", Status.TRUNCATED_THINK if cut_off else Status.EMPTY)


def with_opened_thought(prompt: str, reply: str) -> str:
    """`reply` with the opening tag before it that its prompt ends in.

    Some chat templates open the thinking block in the prompt; the model then only closes it, and a
    thought that is cut off would read as a visible reply.

    >>> with_opened_thought("<|im_start|>assistant\\n<think>\\n", "hm</think> I hear you.")
    '<think>hm</think> I hear you.'
    """
    return opened_thought(prompt) + reply


def split_sentences(text: str) -> list[str]:
    """Sentences of `text` in order, white space stripped, none empty.

    A mark . ? ! (with closing quotes, brackets or asterisks) before white space ends a sentence,
    unless it belongs to an abbreviation, an initial or a list number that begins a sentence or a
    line, or is an ellipsis within a sentence. Line breaks end nothing.

    >>> split_sentences("That hurts... Did Dr. Lee call? i hope... well, yes")
    ['That hurts...', 'Did Dr. Lee call?', 'i hope... well, yes']
    """
    sentences = []
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        end = boundary.end()
        token = text[max(start, end - _LONGEST_TOKEN) : end].split()[-1]
        first = (
            not text[start : end - len(token)].strip()
            or text[end - len(token) - 1 : end - len(token)] == "\n"
        )
        if not _continues(token, boundary["next"] or "", first):
            sentences.append(text[start:end].strip())
            start = end
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _continues(last_token: str, next_character: str, first: bool) -> bool:
    if last_token.endswith("..") and next_character.islower():
        return True
    if _ABBREVIATION.fullmatch(last_token.lower().lstrip("\"'([*")):
        return True
    # "1. Rest." is a list, "on April 5. What now?" are two sentences.
    if first and _LIST_NUMBER.fullmatch(last_token):
        return True
    return _INITIAL.fullmatch(last_token) is not None
