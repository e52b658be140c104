"""Streams and how far they are loaded."""

from typing import Annotated

from pydantic import Field

from serving.api.models.parts import Answer, Moment, example

CONTRACT_EXAMPLE = """\
apiVersion: v3.2.0
kind: DataContract
id: urn:marketing-insight:retail:returns
name: returns
version: 1.0.0
status: active
domain: retail
description:
  purpose: Goods that were brought back.
schema:
  - name: returns_raw
    logicalType: object
    physicalType: table
    description: One row per return as it arrived; the same return_id can arrive more than once.
    properties:
      - name: return_id
        logicalType: string
        physicalType: text
        required: true
        primaryKey: true
        description: Event id, given by the till.
        logicalTypeOptions: { minLength: 1, maxLength: 64 }
        examples: [0f1e2d3c4b5a69788796a5b4c3d2e1f0]
      - name: customer_id
        logicalType: string
        physicalType: text
        required: true
        description: Who brought it back.
        logicalTypeOptions: { minLength: 1, maxLength: 64 }
        examples: [C0042]
      - name: timestamp
        logicalType: timestamp
        physicalType: timestamptz
        required: true
        description: When it was brought back (UTC).
        logicalTypeOptions: { minimum: "2000-01-01T00:00:00Z", maximum: "2100-01-01T00:00:00Z" }
        examples: ["2019-12-31T10:15:00Z"]
slaProperties:
  - property: freshness
    value: 300
    unit: s
    element: returns_raw.timestamp
  - property: retention
    value: 7
    unit: d
    element: returns_raw
customProperties:
  - property: topic
    value: returns
  - property: partitions
    value: 4
  - property: eventTime
    value: timestamp
  - property: source
    value: pos_simulator
"""

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


class StreamProgress(Answer):
    """How far a stream has come, from its contract to rows in models."""

    model_config = example(
        stream="transactions",
        contract_version="1.0.0",
        topic="transactions",
        table_name="transactions_raw",
        registered_at="2026-01-01T00:00:00Z",
        is_topic_made=True,
        first_message_at="2026-01-01T00:00:09Z",
        rows_total=1_204_113,
        quarantined_total=3,
        quarantined_open=1,
        last_commit_at="2026-03-01T12:00:01Z",
        is_modelled=True,
        models=["stg_transactions"],
        is_flowing=True,
        state="running",
        state_reason=None,
        now="flows",
    )

    stream: str = Field(description="The stream's name.")
    contract_version: str = Field(description="Version of the contract in use.")
    topic: str = Field(description="The Kafka topic.")
    table_name: str = Field(description="The table in schema streaming.")
    registered_at: Moment
    is_topic_made: bool = Field(description="Whether a loader has found or made the topic.")
    first_message_at: Moment | None
    rows_total: Total
    quarantined_total: Total
    quarantined_open: int = Field(description="Bad messages that wait for a decision.")
    last_commit_at: Moment | None
    is_modelled: bool = Field(description="Whether a dbt model has read of it.")
    models: list[str] = Field(description="The dbt models that have.")
    is_flowing: bool = Field(description="Whether rows come as often as the contract says.")
    state: str = Field(description="registered, running, caught_up, paused or halted_...")
    state_reason: str | None = Field(description="Why it is halted.")
    now: str = Field(description="What it waits for, in words.")


class Registration(Answer):
    """What registering a contract did."""

    model_config = example(
        stream="returns",
        version="1.1.0",
        previous="1.0.0",
        is_unchanged=False,
        changes=["note is new"],
        topic="returns",
        table_name="returns_raw",
    )

    stream: str = Field(description="The stream's name.")
    version: str = Field(description="Version of the contract in use now.")
    previous: str | None = Field(description="The one before; null: the stream is new.")
    is_unchanged: bool = Field(description="Whether this contract was in use already.")
    changes: list[str] = Field(description="What is different from the one before.")
    topic: str = Field(description="The Kafka topic.")
    table_name: str = Field(description="The table in schema streaming.")


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
