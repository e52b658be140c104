"""The role `insight segment-rules`, until it is stopped."""

from pydantic import SecretStr

from benchmarks.streams.workers import protocol
from benchmarks.streams.workers.target import endpoint
from insight.services import KafkaEndpoint
from insight.services.endpoints import RedisEndpoint
from segmentation.runtime.run import run_segment_rules
from streaming.contract import load_contracts


def main() -> None:
    request = protocol.request()
    kafka = KafkaEndpoint(request["servers"], request["cluster_id"], embedded=False)
    protocol.wait_for_go()
    run_segment_rules(
        endpoint(request),
        kafka,
        RedisEndpoint(SecretStr(request["redis"])),
        load_contracts(),
        stop=protocol.stop_at_end_of_input(),
    )


if __name__ == "__main__":
    main()
