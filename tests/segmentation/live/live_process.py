"""Live segments in a process of its own that SIGKILL ends at a step. Not a test itself."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from pydantic import SecretStr

from insight.database import DatabaseEndpoint
from segmentation.live.run import LiveOptions, Start, Step, run_live_segments
from streaming.contract import load_contracts


def main() -> None:
    request = json.load(sys.stdin)
    host, port, user, password, dbname = request["database"]
    left = [request["nth"]]

    def on_step(step: Step) -> None:
        if step == request["step"]:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    run_live_segments(
        DatabaseEndpoint(host, port, user, SecretStr(password), dbname),
        load_contracts(),
        Start(Path(request["start_file"])),
        stop=threading.Event(),
        until_caught_up=True,
        options=LiveOptions(rows=100, on_step=on_step),
    )


main()
