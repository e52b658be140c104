"""Streams and how far they are loaded."""

from typing import Annotated

from pydantic import Field

from serving.api.models.parts import Answer, Moment, example

Total = Annotated[int, Field(description="How many since the stream's first message.")]


class Stream(Answer):
    """One stream: its state, and what was loaded of it."""

    model_config = example(
        stream="transactions",
        state="running",
        state_reason=None,
        lag=42,
        rows_total=1_204_113,
        quarantined_total=3,
        quarantined_open=1,
        gap_total=0,
        last_event_at="2026-03-01T12:00:00Z",
        last_commit_at="2026-03-01T12:00:01Z",
        freshness_seconds=60,
        is_fresh=True,
        producer_state="running",
        producer_reason=None,
        topic="transactions",
        contract_version="1.0.0",
        paused=False,
        registered_at="2026-01-01T00:00:00Z",
    )

    stream: str = Field(description="The stream's name.")
    state: str = Field(description="registered, running, caught_up, paused or halted_...")
    state_reason: str | None = Field(description="Why it is halted.")
    lag: int | None = Field(description="Messages in Kafka that are not loaded yet.")
    rows_total: Total
    quarantined_total: Total
    quarantined_open: int = Field(description="Bad messages that wait for a decision.")
    gap_total: int = Field(description="Messages that Kafka dropped before they were loaded.")
    last_event_at: Moment | None
    last_commit_at: Moment | None
    freshness_seconds: int = Field(description="How old the newest row may be, by contract.")
    is_fresh: bool | None = Field(description="Whether it is; null before the first row.")
    producer_state: str | None = Field(description="What its producer last said.")
    producer_reason: str | None = Field(description="Why it said so.")
    topic: str = Field(description="The Kafka topic.")
    contract_version: str = Field(description="Version of the contract in use.")
    paused: bool = Field(description="Whether an operator has paused it.")
    registered_at: Moment


class PartitionProgress(Answer):
    """One partition of a stream's topic: what is loaded, and what comes next."""

    model_config = example(
        partition_id=7,
        topic="transactions",
        partition=2,
        state="running",
        state_reason=None,
        first_offset=0,
        next_offset=301_022,
        high_watermark=301_060,
        lag=38,
        rows_total=301_020,
        quarantined_total=2,
        gap_total=0,
        last_event_at="2026-03-01T12:00:00Z",
        last_commit_at="2026-03-01T12:00:01Z",
    )

    partition_id: int = Field(description="Names the partition of a cluster; rows refer to it.")
    topic: str = Field(description="The Kafka topic.")
    partition: int = Field(description="Its number in the topic.")
    state: str = Field(description="running, replaced or halted_...")
    state_reason: str | None = Field(description="Why it is halted.")
    first_offset: int = Field(description="The first offset that was looked at.")
    next_offset: int = Field(description="The offset that is loaded next.")
    high_watermark: int = Field(description="The offset that Kafka gives out next.")
    lag: int = Field(description="Messages between the two.")
    rows_total: Total
    quarantined_total: Total
    gap_total: Total
    last_event_at: Moment | None
    last_commit_at: Moment | None
