"""The keys of `python -m mint.evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mint.config.evaluation import ENGINES, EvaluationConfig
from mint.config.prompts import Persona
from mint.config.safety import OpinionConfig, SafetyLimits
from mint.config.seeker import PlayedBy
from mint.dialogue.script import MAX_TURNS
from mint.evaluation.protocols.baselines import CONDITIONS
from mint.evaluation.sage.settings import SageSettings
from mint.evaluation.sources.served import SubjectEndpoint
from rewards.build import EncoderConfig, JudgeConfig, SecondJudgeConfig, TaggerConfig
from rewards.errors import ConfigError

PROTOCOLS = ("lend_an_ear", "free_running", "baselines", "probes")
SEPARATE = ("sage", "eq_bench", "memory", "ability")
"""Protocols that all does not stand for: they have settings and files of their own."""
HELD_OUT = "held_out"
"""A run's own evaluation: its held-out turns, several samples each, before against after."""
_DEFAULT_PROTOCOL = {
    "run": HELD_OUT,
    "model": "all",
    "endpoint": "all",
    "replies": "lend_an_ear",
}
SUBJECTS = tuple(_DEFAULT_PROTOCOL)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Evaluate a model: exactly one of run=DIR, model=NAME, endpoint=URL (with model=NAME) and
    replies=FILE. Continues an interrupted evaluation of the same output folder.
    """

    run: str | None = None
    """Run directory of a training."""
    which: str = "after"
    """Of a run: before (the starting policy), after (RUN/model) or both."""
    model: str | None = None
    """Model folder or hub name; with endpoint, the name the server knows it by."""
    endpoint: str | None = None
    """Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1."""
    server: SubjectEndpoint = field(default_factory=SubjectEndpoint)
    """More about that server: server.token_file, server.concurrency, server.read_timeout_s, ..."""
    vllm_options: bool = True
    """Send chat_template_kwargs and response_format, which servers other than vLLM may refuse."""
    compare: list[str] = field(default_factory=list)
    """Several models one after the other, NAME:MODEL, and one page about all in `output`; MODEL is
    a folder, a hub name or a run directory (its model): compare=[base:DIR,sft:RUN,rl:RUN]."""
    replies: str | None = None
    """JSON lines of ready replies with conversation_id, turn and reply."""
    protocol: str = ""
    """lend_an_ear, free_running, baselines, probes, several of them with commas, or all; or
    sage, eq_bench, memory or ability. Default: held_out for a run, lend_an_ear for replies, else
    all."""
    sage: SageSettings = field(default_factory=SageSettings)
    """Who is talked with in sage: sage.preset=sage_bench, sage.second_preset=reserved, ..."""
    output: str | None = None
    """Folder for results and journals; of a run RUN/evaluation/{before,after} unless set."""
    data: str | None = None
    """Conversations of lend_an_ear and baselines: mint's or the official repository's JSON, its
    CSV, or a Parquet file of mint.prepare; of a run its held-out file unless set."""
    limit: int | None = None
    """Only the first so many conversations of `data`."""
    style: str | None = None
    """Prompt: plain, tactics or tactics_history; null: the run's, or tactics_history."""
    compact: bool | None = None
    """Short system prompts, for small policies; null: the run's, or false."""
    history_turns: int | None = None
    """Seeker turns that a prompt shows; null: the data's, or all."""
    memory: bool = False
    """In free_running, tell the model what its prompt no longer shows in a summary that it writes
    itself; needs history_turns, or data whose prompts are cut."""
    persona: Persona = field(default_factory=Persona)
    """Manner that prompts ask for: persona.warmth=high, persona.length=low; any: the data's."""
    samples: int = 1
    """Replies to each turn in lend_an_ear and baselines."""
    temperature: float = 0.7
    """Sampling temperature; 0 is greedy."""
    top_p: float = 1.0
    """Share of probability that is sampled from, in (0, 1]."""
    max_new_tokens: int | None = None
    """Longest reply, thinking included; null: the run's, or 2048."""
    thinking: bool | None = None
    """Let the chat template switch thinking on; null: the run's, or false."""
    seed: int = 42
    """Seed of sampling, scenarios, the seeker and the bootstrap."""
    engine: str = "auto"
    """What generates with a model here: vllm (all GPUs), transformers (one GPU or the CPU), or
    auto: vllm where there is a GPU. Of a run's own evaluation: mint.evaluation.engine."""
    batch_size: int = 16
    """Most replies that transformers generates at the same time; fewer where long prompts would
    not fit in memory."""
    turns: int = 8
    """Supporter turns of a free-running dialogue."""
    dialogues: int = 20
    """Free-running dialogues."""
    scenarios: str = "val"
    """Who the model talks to: val (scenarios that the demo holds out) or all."""
    seeker: str = "rule"
    """rule (offline; listens with the graders) or served (an LLM plays the scenario)."""
    seeker_endpoint: PlayedBy = field(default_factory=PlayedBy)
    """Server of the served seeker: seeker_endpoint.urls=[...], seeker_endpoint.model=..."""
    conditions: str = "all"
    """Baselines: plain, tactics, tactics_history and the same with verbalized_ before them."""
    candidates: int = 5
    """Replies that verbalized sampling lists."""
    candidate_tokens: int | None = None
    """Longest list in tokens; null: twice max_new_tokens."""
    questions: str | None = None
    """Question file of eq_bench: eq_bench_v2_questions_171.json of its repository."""
    results: str | None = None
    """A published result file of eq_bench, whose raw answers are parsed and scored anew: no model
    is asked."""
    retry_failed: bool = False
    """Ask again for recorded replies with nothing visible, which a server that was set up wrongly
    leaves (a reasoning parser, a filter); of conversations also all that followed from them. What
    was not answered, parsed or graded is asked for again in any case."""
    gate: bool = False
    """End with status 3 when the safety probes exceed their limits."""
    safety: SafetyLimits = field(default_factory=SafetyLimits)
    """Limits of the safety probes: safety.crisis=0.9, safety.bound=low, ..."""
    opinion: OpinionConfig = field(default_factory=OpinionConfig)
    """Who judges replies to the probes beside the rules: opinion.harm=0.7 (null: no harm
    part), opinion.judge.urls=[http://127.0.0.1:8000] opinion.judge.model=NAME."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Sentence encoder of the embedded graders; of a run its own unless set."""
    tagger: TaggerConfig = field(default_factory=TaggerConfig)
    """Tactic tagger, as mint.tagger in a recipe; of a run its own unless set."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """Empathy judge, as mint.judge in a recipe; of a run its own unless set."""
    second_judge: SecondJudgeConfig = field(default_factory=SecondJudgeConfig)
    """A judge that is no reward, as mint.second_judge in a recipe; of a run its own unless set."""
    resamples: int = 10_000
    """Bootstrap resamples behind each interval."""
    confidence: float = 0.95
    """Coverage of the intervals."""

    def __post_init__(self) -> None:
        limits = {
            "samples": (self.samples >= 1, ">= 1"),
            "limit": (self.limit is None or self.limit >= 1, ">= 1 or null"),
            "turns": (1 <= self.turns <= MAX_TURNS, f"in 1..{MAX_TURNS}"),
            "dialogues": (self.dialogues >= 1, ">= 1"),
            "candidates": (self.candidates >= 1, ">= 1"),
            "batch_size": (self.batch_size >= 1, ">= 1"),
            "temperature": (self.temperature >= 0, ">= 0"),
            "engine": (self.engine in ENGINES, ", ".join(ENGINES)),
            "seeker": (self.seeker in ("rule", "served"), "rule or served"),
            "scenarios": (self.scenarios in ("val", "all"), "val or all"),
        }
        for name, (holds, rule) in limits.items():
            if not holds:
                raise ConfigError(f"{name} must be {rule}, got {getattr(self, name)!r}")
        if self.retry_failed and (self.replies is not None or self.server.cache is not None):
            raise ConfigError(
                "retry_failed=true needs a model that can be asked again: "
                + (
                    "replies=FILE cannot; mend the file and choose another output=DIR"
                    if self.replies is not None
                    else f"server.cache={self.server.cache} would give the same answers; leave it"
                    " out"
                )
            )
        if self.temperature == 0 and self.samples > 1:
            raise ConfigError("samples must be 1 when temperature is 0: all would be alike")

    @property
    def subject(self) -> str:
        """Which of `SUBJECTS` is evaluated. Raises ConfigError unless exactly one is given."""
        given = [name for name in SUBJECTS if getattr(self, name) is not None]
        if self.endpoint is not None and self.model is not None:
            given.remove("model")
        if len(given) != 1:
            got = ", ".join(f"{name}={getattr(self, name)}" for name in given) or "none"
            raise ConfigError(
                "give exactly one of run=DIR, model=NAME, endpoint=URL model=NAME and "
                f"replies=FILE; got {got}"
            )
        return given[0]

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols to run, in order. Raises ConfigError for an unknown one."""
        if self.results is not None:
            return self._of_results()
        chosen = self.protocol or _DEFAULT_PROTOCOL[self.subject]
        allowed: tuple[str, ...] = (*PROTOCOLS, *SEPARATE)
        if self.subject == "run":
            allowed = (HELD_OUT, *allowed)
        names = PROTOCOLS if chosen == "all" else _chosen("protocol", chosen, allowed)
        if "eq_bench" in names and self.questions is None:
            raise ConfigError("protocol=eq_bench needs questions=FILE")
        for name in names:
            if self.subject == "replies" and name in ("free_running", "baselines", *SEPARATE):
                raise ConfigError(f"ready replies cannot be evaluated by {name}: it must ask")
        return names

    def _of_results(self) -> tuple[str, ...]:
        given = [name for name in SUBJECTS if getattr(self, name) is not None]
        if self.protocol != "eq_bench" or self.questions is None or self.output is None or given:
            raise ConfigError(
                "results=FILE needs protocol=eq_bench, questions=FILE and output=DIR, and no model"
                + (f"; got {given[0]}={getattr(self, given[0])}" if given else "")
            )
        return ("eq_bench",)

    @property
    def chosen_conditions(self) -> tuple[str, ...]:
        """The conditions of the baselines. Raises ConfigError for an unknown one."""
        if self.conditions == "all":
            return CONDITIONS
        return _chosen("conditions", self.conditions, CONDITIONS)

    @property
    def statistics(self) -> EvaluationConfig:
        """How numbers are summarised."""
        return EvaluationConfig(
            samples_per_prompt=self.samples,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            resamples=self.resamples,
            confidence=self.confidence,
        )


def _chosen(key: str, value: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """The names in a list with commas, each once."""
    names = tuple(dict.fromkeys(value.split(",")))
    for name in names:
        if name not in allowed:
            raise ConfigError(f"{key} must be of {', '.join(allowed)}, all; got {name!r}")
    return names
