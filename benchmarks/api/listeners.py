"""WebSocket clients that hear all topics and throw away what they hear. Prints one JSON object.

They listen until their input ends. The first one of them looks how long ago a sale was loaded.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

_TOPICS = "transactions,stream-status,live-customers,segment-membership"


class _Heard:
    def __init__(self) -> None:
        self.messages = self.bytes = self.closed = 0
        self.delays: list[float] = []

    async def all_of(self, connection: ClientConnection, *, is_first: bool) -> None:
        try:
            async for message in connection:
                self.messages += 1
                self.bytes += len(message)
                if is_first:
                    self._look(json.loads(message))
        except ConnectionClosed:
            self.closed += 1

    def _look(self, message: dict[str, object]) -> None:
        if message.get("topic") == "transactions" and message["type"] == "rows":
            rows = message["rows"]
            assert isinstance(rows, list)
            loaded_at = datetime.fromisoformat(rows[-1]["loaded_at"])
            self.delays.append((datetime.now(UTC) - loaded_at).total_seconds())


async def _run(address: str, token: str, clients: int) -> dict[str, float]:
    heard = _Heard()
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws{address.removeprefix('http')}/v1/ws?topics={_TOPICS}"
    connections = [
        await connect(url, additional_headers=headers, compression=None, open_timeout=60)
        for _ in range(clients)
    ]
    tasks = [
        asyncio.create_task(heard.all_of(each, is_first=number == 0))
        for number, each in enumerate(connections)
    ]
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    closed = heard.closed
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(each.close() for each in connections))
    delays = sorted(heard.delays) or [0.0]
    return {
        "messages": heard.messages,
        "bytes": heard.bytes,
        "closed": closed,
        "delay_p95": delays[int(len(delays) * 0.95)],
    }


def main() -> None:
    address, token, clients = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(_run(address, token, int(clients)))))


if __name__ == "__main__":
    main()
