"""Writes judged batches on a thread of its own, so that the next ones are read meanwhile."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from insight.database import Connection
from streaming.loading.batch import Batch
from streaming.loading.load_batch import Step, load_batch
from streaming.loading.options import LoaderOptions
from streaming.loading.ownership import Held
from streaming.metrics import Phase
from streaming.progress import FencedError

# The phase that ends with a step of the transaction.
_PHASES = {Step.BEFORE_COMMIT: Phase.copy, Step.COMMITTED: Phase.commit}


@dataclass(frozen=True)
class Written:
    """A batch of a partition as it was stored, in so many seconds.

    None is stored when another owner has the partition.
    """

    held: Held
    judged: Batch
    stored: Batch | None
    seconds: float


@dataclass
class Round:
    """What became of a round: what was committed, and the error that ended it early."""

    written: list[Written] = field(default_factory=list)
    error: BaseException | None = None


class Writer:
    """One round of batches at a time, each batch in a transaction of its own.

    The connection belongs to the writer from `write` to `settle`.
    """

    def __init__(self, connection: Connection, options: LoaderOptions):
        self._connection = connection
        self._meter = options.meter
        self._on_step = options.on_step
        self._step_at = 0.0
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self._pending: Future[Round] | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # Without this the connection would be closed under the transaction at work.
        self._pool.shutdown(wait=True)

    def write(self, batches: Sequence[tuple[Held, Batch]]) -> None:
        """Begin to write; `settle` must have been called since the last time."""
        assert self._pending is None
        if batches:
            self._pending = self._pool.submit(self._write, batches)

    def settle(self) -> Round:
        """Wait until everything given is written; tells what became of it, once."""
        pending, self._pending = self._pending, None
        return pending.result() if pending else Round()

    def _write(self, batches: Sequence[tuple[Held, Batch]]) -> Round:
        done = Round()
        for held, batch in batches:
            try:
                started = time.perf_counter()
                stored = self._stored(held, batch)
                done.written.append(Written(held, batch, stored, time.perf_counter() - started))
            except BaseException as error:
                # Raised by the reader, once it has counted what was committed before.
                done.error = error
                break
        return done

    def _stored(self, held: Held, batch: Batch) -> Batch | None:
        assert held.claim is not None
        self._step_at = time.perf_counter()
        try:
            return load_batch(
                self._connection,
                held.contract,
                held.claim,
                batch,
                held.high_watermark,
                self._pass,
            )
        except FencedError:
            return None

    def _pass(self, step: Step) -> None:
        """Count the time since the step before, and tell whoever wants to know."""
        if step in _PHASES:
            now = time.perf_counter()
            self._meter.add_seconds(_PHASES[step], now - self._step_at)
            self._step_at = now
        self._on_step(step)
