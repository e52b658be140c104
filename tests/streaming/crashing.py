"""Producers and loader in a process of their own, for tests that kill it. Not a test itself."""

import json
import sys
from pathlib import Path

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from insight.services import KafkaEndpoint
from streaming.contract import load_contracts
from streaming.run import StreamOptions, stream


def main() -> None:
    request = json.load(sys.stdin)
    environment = request["database"]
    database = DatabaseEndpoint(
        environment["PGHOST"],
        int(environment["PGPORT"]),
        environment["PGUSER"],
        SecretStr(environment["PGPASSWORD"]),
        environment["PGDATABASE"],
    )
    address, cluster_id, embedded = request["kafka"]
    kafka = KafkaEndpoint(address, cluster_id, embedded)
    topics = request["topics"]
    contracts = [
        each.on_topic(topics[each.stream]) for each in load_contracts() if each.stream in topics
    ]
    options = StreamOptions(Path(request["spill_dir"]))
    stream(database, kafka, contracts, duration_seconds=None, live=False, options=options)


main()
