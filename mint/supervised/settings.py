"""Settings of `mint sft`."""

from __future__ import annotations

from dataclasses import dataclass, field

from mint.config.prompts import PromptConfig, prompt_style
from mint.config.rules import SHARE, at_least, check, one_of, or_null
from mint.tuning.settings import BatchSettings, LoopSettings, ModelSettings, TuningRun
from rewards.errors import ConfigError

POOLING = ("last", "mean", "attention")


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """Files of a data set."""

    train: str | None = None
    """Training file; null leaves the data set out."""
    dev: str | None = None
    """File that steps are chosen on; null takes `data.dev_share` of the training file."""
    test: str | None = None
    """File that the chosen step is measured on, once, at the end."""
    cap: int | None = None
    """Most samples of it that are trained on; null: all."""

    def __post_init__(self) -> None:
        check(self, {"cap": or_null(at_least(1))}, "data.*.")
        if self.train is None and (self.dev is not None or self.test is not None):
            raise ConfigError("data.*.train is needed where dev or test is given")


@dataclass(frozen=True, kw_only=True)
class CommentSettings(SourceSettings):
    """GoEmotions: train.tsv, dev.tsv and test.tsv of its authors. Teaches the emotion head."""

    labels: str = "single"
    """single: comments with one class, softmax. multi: all comments, a sigmoid a class."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, {"labels": one_of("single", "multi")}, "data.goemotions.")


@dataclass(frozen=True, kw_only=True)
class SupportSettings(SourceSettings):
    """ESConv: its JSON, or the strategy TSV of its authors. Teaches replies and strategies."""

    strategies_told: bool = True
    """The prompt says the number of the message and the strategies of the supporter's own earlier
    turns, which whoever writes the next one knows."""


@dataclass(frozen=True, kw_only=True)
class OwnSettings(SourceSettings):
    """Conversations in any layout that `mint.prepare` reads. Teaches replies."""

    strategies: bool = False
    """Tagged turns also teach the strategy head: the strategy that most of a turn's tactics stand
    for (data/supervised/strategies.json)."""
    generate: int | None = None
    """Make so many conversations from the shipped sentence banks instead of reading a file."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, {"generate": or_null(at_least(2))}, "data.conversations.")
        if self.train is not None and self.generate is not None:
            raise ConfigError("data.conversations: give train or generate, not both")


@dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """System prompts of the replies that are learnt; training on rewards wants the same."""

    style: str = PromptConfig.style.value
    """Prompt style, as given to `mint.prepare`: plain, tactics or tactics_history."""
    compact: bool = PromptConfig.compact
    """Short system prompts."""
    max_tokens_hint: int = PromptConfig.max_tokens_hint
    """Reply length that the prompt asks for."""
    max_history_turns: int | None = None
    """Seeker turns shown of mint's own conversations; null shows all."""
    enable_thinking: bool = False
    """Passed to the chat template."""

    def __post_init__(self) -> None:
        if prompt_style("data.prompts.style", self.style).value == "file":
            raise ConfigError("data.prompts.style=file is not for `mint sft`; use another style")
        self.config()

    def config(self) -> PromptConfig:
        """The same for what makes prompts."""
        return PromptConfig(
            style=prompt_style("data.prompts.style", self.style),
            compact=self.compact,
            max_tokens_hint=self.max_tokens_hint,
            max_history_turns=self.max_history_turns,
        )


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The data sets, and how often each is drawn from."""

    goemotions: CommentSettings = field(default_factory=CommentSettings)
    esconv: SupportSettings = field(default_factory=SupportSettings)
    empathetic_dialogues: SourceSettings = field(default_factory=SourceSettings)
    """Its CSV: teaches replies, and the emotion head by a map of its 32 emotions."""
    conversations: OwnSettings = field(default_factory=OwnSettings)
    alpha: float = 0.5
    """A data set with n samples is drawn with a chance in proportion to n to this power, in
    [0, 1]."""
    samples: int | None = None
    """Samples an epoch; null: as many as there are."""
    dev_share: float = 0.1
    """Share of a training file's conversations that steps are chosen on, in [0, 1]."""
    dev_cap: int | None = 1000
    """Most samples of a data set's dev split; null: all."""
    test_cap: int | None = None
    """Most samples of a data set's test file that are measured, drawn by the seed; null: all."""
    prompts: PromptSettings = field(default_factory=PromptSettings)

    def __post_init__(self) -> None:
        caps = dict.fromkeys(("samples", "dev_cap", "test_cap"), or_null(at_least(1)))
        check(self, {"alpha": SHARE, "dev_share": SHARE, **caps}, "data.")


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """The heads that read the model's states before a reply."""

    pooling: str = "last"
    """last: the last token before the reply; mean, or attention, over all of them."""
    emotion_width: int = 512
    """Width of the emotion head's layer."""
    strategy_width: int = 256
    """Width of the strategy head's layer."""
    place_told: bool = True
    """The strategy heads also read, as numbers, where the reply stands: how far the conversation
    is and the strategies of the supporter's earlier turns."""
    dropout: float = 0.1
    """Dropout in the heads while training, in [0, 1]."""
    class_weights: bool = False
    """Weigh classes by their rarity, n / (classes x n of the class), in the loss."""
    detached: bool = False
    """Only the heads learn from their losses: no gradient reaches the model."""

    def __post_init__(self) -> None:
        widths = dict.fromkeys(("emotion_width", "strategy_width"), at_least(1))
        check(self, {"pooling": one_of(*POOLING), "dropout": SHARE, **widths}, "heads.")


@dataclass(frozen=True, kw_only=True)
class WeightSettings:
    """Weights of the losses, each a mean over what it applies to; 0 takes one out."""

    lm: float = 1.0
    """Negative log-likelihood of replies, nats a token."""
    emotion: float = 0.2
    """Cross-entropy of the seeker's emotion, nats."""
    strategy: float = 0.2
    """Cross-entropy of the reply's strategy, from what comes before it, nats."""
    safety: float = 0.1
    """KL(teacher || student) on the teacher's replies to safety prompts, nats a token."""
    strategy_with_reply: float = 0.0
    """Cross-entropy of a strategy head that reads the reply too, only to measure how much the reply
    gives away. Its gradient ends at the head, and counts in the norm that `loop.clip` bounds."""

    def __post_init__(self) -> None:
        names = ("lm", "emotion", "strategy", "safety", "strategy_with_reply")
        check(self, dict.fromkeys(names, at_least(0)), "weights.")


@dataclass(frozen=True, kw_only=True)
class SafetySettings:
    """What the safety term keeps: a frozen teacher's replies to the shipped probes."""

    teacher: str | None = None
    """Model folder or hub name; null: the model as it began. Needs the same vocabulary."""
    replies: str | None = None
    """File of the teacher's replies, a JSON object {"id", "reply"} a line as `mint.probe` reads;
    null: they are generated."""
    prompts: int | None = None
    """Most of the training half of the probes that are used; null: all (about 120)."""
    max_new_tokens: int = 96
    """Longest generated reply, tokens."""
    temperature: float = 0.7
    """Sampling temperature of the replies."""
    measure: bool = False
    """Generate replies to the held-out half of the probes before and after training, and check
    them by the rules of `mint.probe`."""

    def __post_init__(self) -> None:
        rules = {
            "prompts": or_null(at_least(1)),
            "max_new_tokens": at_least(1),
            "temperature": at_least(0),
        }
        check(self, rules, "safety.")


@dataclass(frozen=True, kw_only=True)
class SftSettings:
    """Fine-tune a model on replies, with heads for emotion and strategy and a safety term.

    L = lm NLL + emotion CE + strategy CE + KL(teacher || student), each over its own samples.
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    data: DataSettings = field(default_factory=DataSettings)
    weights: WeightSettings = field(default_factory=WeightSettings)
    heads: HeadSettings = field(default_factory=HeadSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)
    choose: dict[str, float] = field(
        default_factory=lambda: {
            "lm_loss": -1.0,
            "emotion_accuracy": 1.0,
            "strategy_accuracy": 1.0,
        }
    )
    """The best step has the largest sum of weight x dev metric, over the metrics that there are."""
    run: TuningRun = field(default_factory=TuningRun)

    def __post_init__(self) -> None:
        if not any(self.choose.values()):
            raise ConfigError("choose needs a metric with a weight other than 0")
