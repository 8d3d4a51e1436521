"""Grade a conversation of your own, turn by turn: tactics, novelty and empathy.

    python docs/examples/grade_a_conversation.py

Needs the core installation only (no verl, ray or vllm, no GPU, no network). Novelty is D_KL of a
turn's tactics against the supporter turn before: 0 nats is the same mix again, about 1 nat a new
move. The first turn is compared with no preference at all.
"""

from __future__ import annotations

import asyncio

from rewards.build import EncoderConfig, JudgeConfig, TaggerConfig, build_graders
from rewards.diversity import entropy, kl_divergence
from rewards.types import Failure, Message, Reply

CONVERSATION = [
    ("seeker", "I didn't get the apprenticeship. They said I was second of forty."),
    (
        "supporter",
        "I'm so sorry, being second of forty must hurt. What did you do after the call?",
    ),
    ("seeker", "Sat in the car. I haven't told my dad, he was so sure."),
    (
        "supporter",
        "I'm so sorry you sat there alone with it. What are you afraid he will say?",
    ),
    ("seeker", "That he's disappointed. He drove me to every interview."),
    (
        "supporter",
        "It's completely understandable that his hopes weigh on you. Getting further than 38 "
        "others shows how strong you are. You could tell him how much those drives meant to you.",
    ),
]


async def main() -> None:
    """Print three lines and a table row for every supporter turn."""
    graders = build_graders(EncoderConfig(), TaggerConfig(), JudgeConfig())
    messages = [Message.parse({"role": role, "content": text}) for role, text in CONVERSATION]
    replies = [
        Reply(history=tuple(messages[:i]), text=message.content)
        for i, message in enumerate(messages)
        if message.role == "supporter"
    ]
    taggings = await graders.tagger.tag(replies)
    ratings = await graders.judge.rate(replies)
    previous = None
    for number, (reply, tagging, rating) in enumerate(zip(replies, taggings, ratings, strict=True)):
        if isinstance(tagging, Failure) or isinstance(rating, Failure):
            print(f"turn {number}: could not be graded")
            continue
        print(f"turn {number}: {reply.text}")
        for sentence in tagging.sentences:
            print(f"    {', '.join(sentence.tactics) or '-':<32} {sentence.text}")
        novelty = kl_divergence(previous, tagging.counts)
        print(
            f"    novelty {novelty:.2f} nats   variety {entropy(tagging.counts):.2f} nats   "
            f"empathy {rating.aggregate:.2f} of 5\n"
        )
        previous = tagging.counts


if __name__ == "__main__":
    asyncio.run(main())
