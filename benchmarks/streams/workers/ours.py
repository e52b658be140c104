"""The loader as its role runs it: a member of a consumer group, until it is stopped."""

from pathlib import Path

from benchmarks.streams.workers import protocol
from benchmarks.streams.workers.target import endpoint
from insight.services import KafkaEndpoint
from streaming.contract import read_contract
from streaming.loading.options import LoaderOptions
from streaming.polling import StreamOptions
from streaming.run import run_loader


def main() -> None:
    request = protocol.request()
    contract = read_contract(Path(request["contract"])).on_topic(request["topic"])
    kafka = KafkaEndpoint(request["servers"], request["cluster_id"], embedded=False)
    protocol.wait_for_go()
    options = StreamOptions(Path(), loader=LoaderOptions(group=request["group"]))
    run_loader(
        endpoint(request),
        kafka,
        [contract],
        until_caught_up=False,
        stop=protocol.stop_at_end_of_input(),
        options=options,
    )


if __name__ == "__main__":
    main()
