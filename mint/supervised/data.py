"""From the files of the settings to samples: read, split by conversation, capped, encoded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mint.data.banks import load_banks
from mint.data.synthetic import generate, split_scenarios
from mint.shell.paths import data_dir
from mint.supervised import comments, dialogues, support
from mint.supervised.comments import read_comments
from mint.supervised.labels import emotions, strategies
from mint.supervised.mixture import counts, shares
from mint.supervised.samples import Sample, Text
from mint.supervised.settings import DataSettings, SftSettings, SourceSettings
from mint.supervised.support import read_support
from mint.tuning.encoding import Encoder
from rewards.errors import ConfigError

SPLITS = ("train", "dev", "test")
SOURCES = (comments.NAME, support.NAME, dialogues.EMPATHETIC, dialogues.OWN)
_SUPPORT_PROMPT = "Reply with warmth in a few sentences."
Reader = Callable[[Path], list[Text]]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Samples of every data set, as text or encoded."""

    train: Mapping[str, list[Text]]
    dev: Mapping[str, list[Text]]
    test: Mapping[str, list[Text]]
    notes: tuple[str, ...] = ()


def sources(data: DataSettings) -> dict[str, SourceSettings]:
    """Name -> settings of the data sets that are used."""
    found: dict[str, SourceSettings] = {name: getattr(data, name) for name in SOURCES}
    used = {name: source for name, source in found.items() if source.train is not None}
    if data.conversations.generate is not None:
        used[dialogues.OWN] = data.conversations
    return used


def files(data: DataSettings) -> list[Path]:
    """Every file that is read. Raises ConfigError for one that is not there."""
    found = []
    for name, source in sources(data).items():
        for split in SPLITS:
            given = getattr(source, split)
            if given is None:
                continue
            path = Path(given).expanduser()
            if not path.is_file():
                raise ConfigError(
                    f"data.{name}.{split}={given} does not exist; docs/sft.md says where such "
                    "files come from"
                )
            found.append(path)
    return found


def read(settings: SftSettings) -> Splits:
    """All data sets but the safety prompts. Raises ConfigError or DataError with the place."""
    data = settings.data
    notes: list[str] = []
    parts: dict[str, dict[str, list[Text]]] = {split: {} for split in SPLITS}
    for name, source in sources(data).items():
        reader = _reader(name, data, notes)
        if source.train is None:
            train, dev = _generated(data)
        elif source.dev is None:
            both = reader(Path(source.train).expanduser())
            train, dev = split(both, data.dev_share, settings.run.seed)
        else:
            train, dev = (reader(Path(p).expanduser()) for p in (source.train, source.dev))
        test = [] if source.test is None else reader(Path(source.test).expanduser())
        parts["train"][name] = some(train, source.cap, settings.run.seed)
        parts["dev"][name] = some(dev, data.dev_cap, settings.run.seed)
        parts["test"][name] = some(test, data.test_cap, settings.run.seed)
    return Splits(**parts, notes=tuple(notes))


def some(texts: Sequence[Text], most: int | None, seed: int) -> list[Text]:
    """At most `most` of them, drawn by the seed."""
    if most is None or len(texts) <= most:
        return list(texts)
    return random.Random(seed).sample(texts, most)


def split(texts: Sequence[Text], share: float, seed: int) -> tuple[list[Text], list[Text]]:
    """(training, dev): whole conversations, `share` of them in dev."""
    groups = list(dict.fromkeys(text.group for text in texts))
    random.Random(seed).shuffle(groups)
    held_out = set(groups[: round(share * len(groups))])
    return (
        [text for text in texts if text.group not in held_out],
        [text for text in texts if text.group in held_out],
    )


def encode(
    texts: Mapping[str, Sequence[Text]], encoder: Encoder
) -> tuple[dict[str, list[Sample]], int]:
    """The samples as token ids, and how many were too long."""
    found: dict[str, list[Sample]] = {}
    too_long = 0
    for name, own in texts.items():
        found[name] = []
        for text in own:
            labelled = text.strategy is not None or text.emotions is not None
            example = encoder(text.messages, text.reply, apart=labelled and text.reply is not None)
            if example is None:
                too_long += 1
                continue
            found[name].append(
                Sample(
                    source=text.source,
                    example=example,
                    learns_reply=text.reply is not None and not text.safety,
                    emotions=text.emotions,
                    strategy=text.strategy,
                    place=text.place,
                    safety=text.safety,
                )
            )
    return found, too_long


def check_labels(settings: SftSettings, train: Mapping[str, Sequence[Text]]) -> None:
    """Every loss with a weight needs samples that carry its label. Raises ConfigError."""
    texts = [text for own in train.values() for text in own]
    if not texts:
        raise ConfigError(
            "the mixture is empty: give at least one of data.goemotions.train, data.esconv.train, "
            "data.empathetic_dialogues.train, data.conversations.train (or .generate)"
        )
    has = {
        "lm": any(text.reply is not None for text in texts),
        "emotion": any(text.emotions is not None for text in texts),
        "strategy": any(text.strategy is not None for text in texts),
    }
    for name, there in has.items():
        if getattr(settings.weights, name) > 0 and not there:
            raise ConfigError(
                f"weights.{name}={getattr(settings.weights, name)}, but no training sample carries "
                f"what it learns from; add a data set, or set weights.{name}=0"
            )


def table(sizes: Mapping[str, int], data: DataSettings) -> Iterator[str]:
    """The mixture, a line a data set. Raises ConfigError for an empty one."""
    parts = shares(sizes, data.alpha)
    total = epoch_size(sizes, data)
    for name, number in counts(parts, total).items():
        yield (
            f"  {name:<22} {sizes[name]:>7,} samples  share {parts[name]:.3f}  "
            f"{number:>7,} an epoch ({number / sizes[name]:.2f} times)"
        )


def epoch_size(sizes: Mapping[str, int], data: DataSettings) -> int:
    """Samples an epoch."""
    return sum(sizes.values()) if data.samples is None else data.samples


def _reader(name: str, data: DataSettings, notes: list[str]) -> Reader:
    emotion, strategy = emotions(), strategies()
    prompts = data.prompts.config()

    def of_comments(path: Path) -> list[Text]:
        single = data.goemotions.labels == "single"
        found, left_out = read_comments(path, emotion, single=single)
        if left_out:
            notes.append(f"{path}: {left_out:,} comments with several classes are left out")
        return found

    readers: dict[str, Reader] = {
        comments.NAME: of_comments,
        support.NAME: lambda path: read_support(
            path, strategy, _SUPPORT_PROMPT, told=data.esconv.strategies_told
        ),
        dialogues.EMPATHETIC: lambda path: dialogues.read_empathetic(path, emotion, prompts),
        dialogues.OWN: lambda path: dialogues.read_own(
            path, strategy, prompts, strategies=data.conversations.strategies
        ),
    }
    return readers[name]


def _generated(data: DataSettings) -> tuple[list[Text], list[Text]]:
    """(training, dev) from the shipped banks; dev has the scenarios that no demo trains on."""
    assert data.conversations.generate is not None
    banks = load_banks(data_dir())
    number = data.conversations.generate
    numbers = (number, max(2, round(data.dev_share * number)))
    train, dev = (
        dialogues.own_samples(
            list(generate(count, 0, banks=banks, scenarios=part)),
            strategies(),
            data.prompts.config(),
            data.conversations.strategies,
        )
        for count, part in zip(numbers, split_scenarios(banks.scenarios), strict=True)
    )
    return train, dev
