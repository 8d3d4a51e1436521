"""What the trainer's processes of a GPU run load through `actor_rollout_ref.model.external_lib`.

The engine is verl's own; these imports register what it is told to use by name.
"""

from mint.verl import packed_attention, policy_loss, token_entropy

__all__ = ["packed_attention", "policy_loss", "token_entropy"]
