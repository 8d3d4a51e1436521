"""What makes two embedded graders the same one."""

from __future__ import annotations

from rewards.types import GraderIdentity


def embedded_identity(part: str, revision: str, encoder: GraderIdentity) -> GraderIdentity:
    """Identity of a tagger or judge: sha256 of its heads, and everything about its encoder."""
    return GraderIdentity(
        kind=part,
        name="embedded",
        revision=revision,
        details={
            "encoder": encoder.name,
            "encoder_revision": encoder.revision,
            **encoder.details,
        },
    )
