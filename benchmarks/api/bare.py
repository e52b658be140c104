"""The baseline: a Starlette route that returns a constant, under the server that ours runs on."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.api.run import listen

_CONSTANT = (
    b'{"customer_id":"000000","segment_id":3,"segment_name":"Champions (VIPs)",'
    b'"updated_at":"2026-03-01T06:00:00+00:00"}'
)


async def constant(_: Request) -> Response:
    return Response(_CONSTANT, media_type="application/json")


def main() -> None:
    """Print the address, serve until SIGTERM."""
    listening = listen("127.0.0.1", 0)
    # The load may begin before the server does.
    listening.listen(1024)
    paths = ("/v1/customers/{customer_id}/segment", "/v1/customers/{customer_id}/segments")
    app = Starlette(routes=[Route(each, constant) for each in paths])
    sys.stdout.write(f"API       http://127.0.0.1:{listening.getsockname()[1]}/v1\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, access_log=False, log_config=None, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
