"""Messages of one stream, judged: rows to copy on one side, messages to quarantine on the other.

Nothing here touches the network or the database.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from streaming.contract import Contract
from streaming.loading.bad_limit import BadLimit, BadMeter
from streaming.loading.batch import Batch, Message, Rejected
from streaming.messages.chunk_codec import ChunkCodec
from streaming.messages.codec import VERSION_HEADER, Codec, Headers, Rejection

# So many messages are decoded at once. Where one of them is bad, halves of them are, down to so
# few that each is looked at: the cost of a bad message grows with the logarithm of the chunk.
_CHUNK = 1_024
_ONE_BY_ONE = 16


class Judge:
    """Decodes and checks the messages of one stream, and notices when it goes bad."""

    def __init__(self, contract: Contract, limit: BadLimit):
        self.contract = contract
        self._limit = limit
        self.meter = BadMeter(limit)
        self._codec = Codec(contract)
        self._chunks = ChunkCodec(contract)
        self._usual_headers: Headers | None = [(VERSION_HEADER, contract.version.encode())]

    def forgive(self) -> None:
        """Count anew: a stream that an operator let go on would halt at its first bad message."""
        self.meter = BadMeter(self._limit)

    def batch(self, messages: Sequence[Message], lo: int) -> Batch:
        """Judge messages in order of offset; ends early where the bad limit trips.

        Messages before `lo` were loaded already and are left out. Each line of the result ends
        with the message's offset.
        """
        offsets = [message.offset() for message in messages]
        batch = Batch(lo, lo - 1)
        start = bisect_left(offsets, lo)
        while start < len(offsets) and batch.limit_reason is None:
            end = start + _CHUNK
            self._judge(batch, messages[start:end], offsets[start:end])
            start = end
        return batch

    def _judge(self, batch: Batch, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        chunk = self._chunks.decode([message.value() for message in messages], offsets)
        if chunk is not None and self._versions_are_known(messages):
            batch.lines += chunk.lines
            batch.rows += messages
            batch.saw(chunk.newest)
            batch.hi = offsets[-1]
            self.meter.seen += len(messages)
        elif len(messages) > _ONE_BY_ONE:
            half = len(messages) // 2
            self._judge(batch, messages[:half], offsets[:half])
            if batch.limit_reason is None:
                self._judge(batch, messages[half:], offsets[half:])
        else:
            self._judge_one_by_one(batch, messages)

    def _versions_are_known(self, messages: Sequence[Message]) -> bool:
        try:
            headers = [message.headers() for message in messages]
            if headers.count(self._usual_headers) == len(headers):
                return True
            for each in headers:
                self._codec.check_version(each)
        except (Rejection, UnicodeDecodeError):
            return False
        self._usual_headers = headers[-1]
        return True

    def _judge_one_by_one(self, batch: Batch, messages: Sequence[Message]) -> None:
        for message in messages:
            batch.hi = message.offset()
            try:
                line, event_at = self._decode(message)
            except Rejection as verdict:
                batch.rejected.append(Rejected(message, verdict))
                self.meter.count_bad()
                if self.meter.tripped:
                    batch.limit_reason = self.meter.reason()
                    return
                continue
            batch.lines.append(f"{line}\t{batch.hi}")
            batch.rows.append(message)
            batch.saw(event_at)
            self.meter.seen += 1

    def _decode(self, message: Message) -> tuple[str, datetime]:
        try:
            headers = message.headers()
        except UnicodeDecodeError as error:
            raise Rejection("invalid_headers", str(error)) from error
        if headers:
            self._codec.check_version(headers)
        return self._codec.copy_line(message.value())
