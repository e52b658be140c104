"""The role segment-rules in a process of its own that SIGKILL ends at a step. Not a test itself."""

import json
import os
import signal
import sys
import threading

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from insight.services import KafkaEndpoint, RedisEndpoint
from segmentation.runtime.publisher import PublishOptions
from segmentation.runtime.run import RuntimeOptions, run_segment_rules
from streaming.contract import load_contracts


def main() -> None:
    request = json.load(sys.stdin)
    host, port, user, password, dbname = request["database"]

    def on_step(step: str) -> None:
        if step == request["step"]:
            os.kill(os.getpid(), signal.SIGKILL)

    run_segment_rules(
        DatabaseEndpoint(host, port, user, SecretStr(password), dbname),
        KafkaEndpoint(**request["kafka"]),
        RedisEndpoint(SecretStr(request["redis"])),
        load_contracts(),
        stop=threading.Event(),
        until_caught_up=True,
        options=RuntimeOptions(on_step=on_step, publish=PublishOptions(on_step=on_step)),
    )


main()
