"""The stream loader against other ways to bring a topic into Postgres, on a real Kafka."""
