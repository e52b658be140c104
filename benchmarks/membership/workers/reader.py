"""Asks Redis for the segments of probes that are not there yet, and notes when they are.

At the end of its input it prints, as JSON, the moment (Unix time) of each one's answer.
"""

import json
import sys
import time

import redis

from benchmarks.membership.hundred_rules import STANDING
from benchmarks.membership.plan import probe
from benchmarks.streams.workers import protocol
from segmentation.runtime.cache import cache_key

_LOOK_SECONDS = 0.05
# More than come while Redis is a while behind.
_AHEAD = 300


def main() -> None:
    request = protocol.request()
    run = request["run"]
    client = redis.Redis.from_url(request["redis"])
    wanted = f'"segment" : "{STANDING}"'.encode()
    protocol.wait_for_go()
    stop = protocol.stop_at_end_of_input()
    seen: dict[str, float] = {}
    first, is_last = 0, False
    while not is_last:
        # Once more at the end: what came since the last look is there.
        is_last = stop.is_set()
        names = [probe(run, number) for number in range(first, first + _AHEAD)]
        missing = [each for each in names if each not in seen]
        found = client.mget([cache_key(each) for each in missing])
        now = time.time()
        seen.update(
            {
                name: now
                for name, answer in zip(missing, found, strict=True)
                if answer and wanted in answer
            }
        )
        while probe(run, first) in seen:
            first += 1
        time.sleep(_LOOK_SECONDS)
    sys.stdout.write(f"{json.dumps(seen)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
