"""How many messages to ask for at once, so that a batch has a bounded size in memory."""

from collections.abc import Sequence

from streaming.loading.batch import Message

_SAMPLE = 16


class BatchSize:
    """At most `most` messages, and no more than make up `size` bytes by the last ones seen."""

    def __init__(self, most: int, size: int):
        self._most = most
        self._size = size
        self.messages = most

    def learn(self, messages: Sequence[Message]) -> None:
        """Take the size of some of the newest messages into account."""
        sample = messages[:: max(1, len(messages) // _SAMPLE)]
        size = sum(len(each.value() or b"") for each in sample) / len(sample)
        self.messages = max(1, min(self._most, int(self._size / max(size, 1.0))))
