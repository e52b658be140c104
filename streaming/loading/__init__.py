"""Kafka topics into Postgres: who loads which partition, and the transaction of one batch."""
