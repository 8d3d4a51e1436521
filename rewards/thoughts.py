"""Private thoughts in generated text: the forms in which language models write them.

| form                                                  | models                               |
|-------------------------------------------------------|--------------------------------------|
| <think> ... </think>; thinking, thought, reasoning... | Qwen, R1, EXAONE, Seed (<seed:think>)|
| <details type="reasoning"> ... </details>             | logs of Open WebUI                   |
| [THINK] ... [/THINK]                                  | Mistral                              |
| ◁think▷ ... ◁/think▷                                  | Kimi                                 |
| <|START_THINKING|> ... <|END_THINKING|>               | Cohere                               |
| <|begin_of_thought|> ... <|end_of_thought|>           | OpenThinker, Sky-T1                  |
| <|inner_prefix|> ... <|inner_suffix|>                 | Apertus                              |
| <unused94>thought ... <unused95>                      | MedGemma                             |
| <|channel>thought ... <channel|>                      | Gemma 4                              |
| <|channel|>analysis<|message|> ... <|end|>            | gpt-oss                              |
| analysis... assistantfinal...                         | gpt-oss without its special tokens   |
| Here is my thought process: ... Here is my response:  | Granite                              |
| Here are my reasoning steps: [BEGIN FINAL RESPONSE]   | Apriel                               |

A tag in quotation marks or code is talk about the tag. An opening tag that is never closed begins
a thought unless it stands within a sentence. Everything takes time linear in the text's length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAMES = (
    r"(?:seed:|longcat_)?think|thinking|(?:inner_)?thoughts?|reasoning|reflection|analysis"
    r"|scratch_?pad|(?:inner|internal)_monologue"
)
_CHANNEL = r"(?:<\|start\|>\s{0,8}assistant\s{0,8})?<\|channel\|>\s{0,8}"
_FORMS = {
    "xml": (rf"<[ ]?(?:{_NAMES})(?:[ \t][^<>\n/]{{0,200}})?>", rf"<[ ]?/[ ]?(?:{_NAMES})[ ]?>"),
    "bracket": (r"(?-i:\[THINK\])", r"(?-i:\[/THINK\])"),
    "kimi": ("◁think▷", "◁/think▷"),
    "cohere": (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    "solution": (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    "apertus": (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    "details": (r"<details[ \t]{1,8}type=\"reasoning\"[^<>\n]{0,200}>", "</details>"),
    "channel": (r"<\|channel>\s{0,8}(?:thought)?", r"<channel\|>"),
    "gemma": (r"<unused94>(?:thought)?", "<unused95>"),
    "harmony": (
        rf"{_CHANNEL}(?:analysis|commentary)[^<\n]{{0,80}}<\|message\|>",
        rf"<\|end\|>|{_CHANNEL}final[^<\n]{{0,80}}<\|message\|>",
    ),
}
_NEVER_CLOSED_ALONE = ("harmony", "details")
"""Forms whose closing tag also ends other things."""
_TAG = re.compile(
    "|".join(f"(?P<{name}_0>{a})|(?P<{name}_1>{b})" for name, (a, b) in _FORMS.items()),
    re.IGNORECASE,
)
_OPENS_AT_END = re.compile(
    rf"(?:{'|'.join(opens for opens, _ in _FORMS.values())})\s*\Z", re.IGNORECASE
)
_TOKENS = re.compile(
    r"<\|(?:channel|message|start|end|START_THINKING|END_THINKING|begin_of_thought|end_of_thought"
    r"|inner_prefix|inner_suffix)\|>|<unused9[45]>"
)
# Beginnings that only make sense at the very start, and what ends such a thought.
_HEADERS = (
    (re.compile(r"\A\s*analysis(?=[A-Z])"), re.compile("assistantfinal")),
    (
        re.compile(r"\A\s*Here(?: is|'s) my thought process:", re.IGNORECASE),
        re.compile(r"Here(?: is|'s) my response:", re.IGNORECASE),
    ),
    (
        re.compile(r"\A\s*Here are my reasoning steps:", re.IGNORECASE),
        re.compile(r"\[BEGIN FINAL RESPONSE\]"),
    ),
)
_MARKERS = re.compile(
    rf"{_CHANNEL}final[^<\n]{{0,80}}<\|message\|>|<\|return\|>|<\|(?:START|END)_RESPONSE\|>"
    rf"|<[ ]?(?:{_NAMES})[ ]?/>"
    r"|<\|(?:begin|end)_of_(?:solution|box)\|>|\[(?:BEGIN|END) FINAL RESPONSE\]"
)
_WRAPPED = re.compile(
    r"\A\s*<(?P<name>answer|response|output|final_answer|reply)>(?P<text>.*?)(?:</(?P=name)>\s*)?\Z",
    re.IGNORECASE | re.DOTALL,
)
_FENCED = re.compile(r"```.*?```", re.DOTALL)
_QUOTES = {"`": "`", '"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}
_QUOTED = 40
"""Characters within which quotation marks around a tag must close."""
_SENTENCE_MAY_BEGIN = tuple(".!?…:;)]}>\"'”’»*-—\n")
_BETWEEN_NAMES = frozenset({"and", "or", "to"})


class Spoken(NamedTuple):
    """A text without its thoughts."""

    text: str
    """White space stripped at both ends."""
    cut_off: bool
    """Whether it ends within a thought."""


class Thought(NamedTuple):
    """One private thought in a text."""

    text: str
    """Between its tags."""
    first: bool
    """Whether nothing is said before it."""
    whole: bool
    """Whether both its tags are there."""


class _Tag(NamedTuple):
    form: str
    closes: bool
    start: int
    end: int
    quoted: bool
    fence: int | None
    """Where the code block begins that it stands in."""


def without_thoughts(raw: str) -> Spoken:
    """The words that are meant for the person.

    >>> without_thoughts("<THINKING>She is sad.</THINKING> I hear you.")
    Spoken(text='I hear you.', cut_off=False)
    >>> without_thoughts("I hear you. <think>Now a question.</think> What happened?").text
    'I hear you. What happened?'
    """
    return _read(raw)[0]


def thoughts_in(raw: str) -> tuple[Thought, ...]:
    """The thoughts in the order of the text, in any of the forms above.

    >>> thoughts_in("<think>sad</think> I hear you.")
    (Thought(text='sad', first=True, whole=True),)
    """
    return _read(raw)[1]


def _read(raw: str) -> tuple[Spoken, tuple[Thought, ...]]:
    text = _headers_as_tags(raw)
    tags = _tags(text)
    thoughts: list[Thought] = []
    # A fence that a thought leaves open pairs with one in the reply, and seems to hold the tag.
    closable = {tag.form for tag in tags if tag.closes and not tag.quoted and tag.fence is None}
    spoken = ""
    position = 0
    opened: _Tag | None = None
    broken: int | None = None
    before = spoken, position
    unopened: int | None = None  # where the last tag stands that the template has opened
    for tag in tags:
        fenced = tag.fence is not None and tag.fence != broken
        counts = not (tag.quoted or fenced)
        if opened is None and counts and not tag.closes:
            before = spoken, position
            spoken, opened = _joined(spoken, text[position : tag.start]), tag
        elif opened is None and counts and tag.form not in _NEVER_CLOSED_ALONE:
            # Closed but never opened: the template has opened it in the prompt.
            thoughts, unopened = [], tag.start
            spoken, position = "", tag.end
        elif opened is not None and tag.closes and tag.form == opened.form:
            if tag.quoted or (fenced and tag.form in closable):
                continue
            broken = tag.fence
            inner = text[opened.end : tag.start]
            if inner.strip().lower() in _BETWEEN_NAMES:
                (spoken, position), opened = before, None  # two names: the text simply goes on
                continue
            thoughts.append(Thought(inner, not spoken.strip(), True))
            position, opened = tag.end, None
    if unopened is not None:
        thoughts.insert(0, Thought(text[:unopened], True, False))
    if opened is None:
        return _finished(_joined(spoken, text[position:]), False), tuple(thoughts)
    if _within_sentence(spoken, text[opened.end : opened.end + 2]):
        return _finished(spoken + text[opened.start :], False), tuple(thoughts)
    thoughts.append(Thought(text[opened.end :], not spoken.strip(), False))
    return _finished(spoken, True), tuple(thoughts)


def opened_thought(prompt: str) -> str:
    """The tag of a thinking block that a rendered prompt ends in; "" for most.

    >>> opened_thought("<|im_start|>assistant\\n<think>\\n")
    '<think>'
    """
    found = _OPENS_AT_END.search(prompt, max(0, len(prompt) - 300))
    return found.group().strip() if found else ""


def is_thought_token(token: str) -> bool:
    """Whether a special token of a tokenizer belongs to a form of thought."""
    return _TOKENS.fullmatch(token) is not None or _TAG.fullmatch(token) is not None


def _headers_as_tags(text: str) -> str:
    for begins, ends in _HEADERS:
        if begins.match(text):
            return ends.sub("</think>", begins.sub("<think>", text, count=1), count=1)
    return text


def _tags(text: str) -> list[_Tag]:
    fences = [match.span() for match in _FENCED.finditer(text)] if "```" in text else []
    tags = []
    found = list(_TAG.finditer(text))
    limits = [*(match.start() for match in found), len(text)][1:]
    for match, limit in zip(found, limits, strict=True):
        form, kind = (match.lastgroup or "").rsplit("_", 1)
        start, end = match.span()
        while fences and fences[0][1] <= start:
            fences.pop(0)
        fence = fences[0][0] if fences and fences[0][0] <= start else None
        quoted = _quoted(text, start, end, limit)
        tags.append(_Tag(form, kind == "1", start, end, quoted, fence))
    return tags


def _quoted(text: str, start: int, end: int, limit: int) -> bool:
    before = text[start - 1 : start]
    if before not in _QUOTES or text[max(0, start - 3) : start] == "```":
        return False
    return _QUOTES[before] in text[end : min(end + _QUOTED, limit)].split("\n", 1)[0]


def _within_sentence(before: str, after: str) -> bool:
    """Whether an unclosed tag is talk about the tag, as in "My <think> tag is off"."""
    talk = after[:1] in (",", ".", ")") or (after[:1] == " " and after[1:2].islower())
    return bool(before.strip()) and not before.rstrip(" ").endswith(_SENTENCE_MAY_BEGIN) and talk


def _joined(before: str, after: str) -> str:
    """Two parts with what stood between them left out; never so that they form a tag."""
    if not before.strip() or not after.strip():
        return before + after if after.strip() else before
    end, start = before.rstrip(), after.lstrip()
    gap = before[len(end) :] + after[: len(after) - len(start)]
    open_bracket = end[-300:].rfind("<") > end[-300:].rfind(">")
    return f"{end}\n{start}" if "\n" in gap or open_bracket else f"{end} {start}"


def _finished(text: str, cut_off: bool) -> Spoken:
    text = _MARKERS.sub("", text)
    wrapped = _WRAPPED.match(text)
    text = (wrapped["text"] if wrapped else text).strip()
    if any(begins.match(text) for begins, _ in _HEADERS):
        return without_thoughts(text)  # what a tag stood before: it begins the text now
    return Spoken(text, cut_off)
