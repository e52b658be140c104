"""The processes of the measurement; they speak `benchmarks.streams.workers.protocol`."""
