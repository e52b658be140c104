"""Run by the Python of the peer's own environment: nothing of this project can be imported."""

import json
import sys
import threading

from quixstreams import Application  # type: ignore[import-not-found]
from quixstreams.sinks.community.postgresql import (  # type: ignore[import-not-found]
    PostgreSQLSink,
)


def main() -> None:
    request = json.loads(sys.stdin.readline())
    target = request["database"]
    app = Application(
        broker_address=request["servers"],
        consumer_group=request["group"],
        auto_offset_reset="earliest",
        commit_every=20_000,
        commit_interval=60.0,
        loglevel="WARNING",
    )
    sink = PostgreSQLSink(
        host=target["PGHOST"],
        port=int(target["PGPORT"]),
        dbname=target["PGDATABASE"],
        user=target["PGUSER"],
        password=target["PGPASSWORD"],
        table_name="sales",
        schema_name="bench",
        include_metadata=request["include_metadata"],
    )
    app.dataframe(app.topic(request["topic"], value_deserializer="json")).sink(sink)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    threading.Thread(target=_stop_at_end_of_input, args=[app], daemon=True).start()
    app.run()


def _stop_at_end_of_input(app: Application) -> None:
    sys.stdin.read()
    app.stop()


if __name__ == "__main__":
    main()
