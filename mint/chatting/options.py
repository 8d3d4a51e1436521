"""The keys of `mint chat`."""

from __future__ import annotations

from dataclasses import dataclass, field

from mint.config.evaluation import ENGINES
from mint.config.rules import PART, at_least, check, one_of, or_null
from mint.config.seeker import PlayedBy
from mint.dialogue.presets import PRESETS
from mint.shell import cli
from mint.web.listen import WebSettings
from rewards.build import EncoderConfig, JudgeConfig, TaggerConfig
from rewards.errors import ConfigError

YOU, RULE, SERVED = "you", "rule", "served"
SEEKERS = (YOU, RULE, SERVED)


@dataclass(frozen=True, kw_only=True)
class ChatSettings(WebSettings):
    """Talk to one model, or to two side by side: a page on this machine, or the terminal.

    Every reply is shown with its tactic tags, ratings and novelty against the model's own previous
    reply. You are the seeker, or a simulated one is, whose emotion is shown. This is a tool to look
    at models with, not help for anybody in need.
    """

    models: list[str] = field(default_factory=list, metadata=cli.POSITIONAL)
    """Run directories (the trained model, with the prompt of its training), model folders or hub
    names; of two or more, two can be compared."""
    before: bool = False
    """Also the policy that the first run started from."""
    terminal: bool = False
    """Talk in the terminal instead of on a page."""
    blind: bool = False
    """Of two models, hide which is which and on which side until it is asked for; on the page this
    can be chosen for each conversation."""
    seeker: str = YOU
    """Who plays the person: you, rule (offline) or served (an LLM behind seeker_endpoint)."""
    preset: str = "sage_bench"
    """Disposition of a simulated seeker, see docs/seekers.md."""
    person: str | None = None
    """Id of the person whom a simulated seeker plays; null: the first."""
    persons: str | None = None
    """File of people (JSON lines); null: those that ship with mint."""
    seeker_endpoint: PlayedBy = field(default_factory=PlayedBy)
    """Server of the served seeker: seeker_endpoint.urls=[...] seeker_endpoint.model=..."""
    output: str = "outputs/chat"
    """Folder for votes and saved dialogues."""
    rater: str = "you"
    """Who votes: the name of the sheet, OUTPUT/votes/SYSTEMS/RATER.csv."""
    style: str | None = None
    """Prompt: plain, tactics or tactics_history; null: the run's, or tactics_history."""
    compact: bool | None = None
    """Short system prompts, for small policies; null: the run's, or false."""
    thinking: bool | None = None
    """Let the chat template switch thinking on; null: the run's, or false."""
    max_new_tokens: int | None = None
    """Longest reply, thinking included; null: the run's, or 512."""
    temperature: float = 0.7
    """Sampling temperature; 0 is greedy."""
    top_p: float = 1.0
    """Share of probability that is sampled from, in (0, 1]."""
    seed: int = 42
    """Seed of sampling and of the seeker."""
    engine: str = "auto"
    """What generates: vllm, transformers, or auto: vllm where there is a GPU."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Sentence encoder of the embedded graders; the first run's unless set."""
    tagger: TaggerConfig = field(default_factory=TaggerConfig)
    """Tactic tagger, as mint.tagger in a recipe; the first run's unless set."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Empathy judge, as mint.judge in a recipe; the first run's unless set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rules = {
            "seeker": one_of(*SEEKERS),
            "preset": one_of(*PRESETS),
            "engine": one_of(*ENGINES),
            "temperature": at_least(0),
            "top_p": PART,
            "max_new_tokens": or_null(at_least(1)),
            "seed": at_least(0),
        }
        check(self, rules)
        if not self.models:
            raise ConfigError("name what to talk to: mint chat RUN, or a model folder or hub name")
        if self.seeker == SERVED and not self.seeker_endpoint.urls:
            raise ConfigError(
                "seeker=served needs seeker_endpoint.urls=[http://127.0.0.1:8000] and "
                "seeker_endpoint.model=NAME"
            )
        if not self.rater.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(
                f"rater must be letters, digits, - and _ (it names a file), got {self.rater!r}"
            )

    @property
    def seekers(self) -> tuple[str, ...]:
        """Who can play the person."""
        return SEEKERS if self.seeker_endpoint.urls else (YOU, RULE)
