"""Streams: contracts, producers, and the loader that moves Kafka topics into Postgres."""
