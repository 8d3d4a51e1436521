"""A bounded store of encoded replies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from rewards.errors import ConfigError
from rewards.protocols import EncodedReply, SplitReply


class ReplyCache:
    """Least-recently-used store of encoded replies, at most `size` of them. Not thread-safe."""

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ConfigError(f"mint.encoder.cache_size must be >= 0 replies, got {size}")
        self._size = size
        self._known: OrderedDict[SplitReply, EncodedReply] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def lookup(
        self,
        replies: Sequence[SplitReply],
        compute: Callable[[list[SplitReply]], list[EncodedReply]],
    ) -> list[EncodedReply]:
        """One result a reply; `compute` is called once with the distinct unknown ones."""
        known = {reply: self._known[reply] for reply in replies if reply in self._known}
        new = [reply for reply in dict.fromkeys(replies) if reply not in known]
        if new:
            known.update(zip(new, compute(new), strict=True))
        self._known.update(known)
        for reply in known:
            self._known.move_to_end(reply)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return [known[reply] for reply in replies]
