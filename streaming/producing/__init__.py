"""Sources into Kafka topics: the polling loop, delivery, cursor, pace and spill."""
