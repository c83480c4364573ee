"""The peer of the proxy: what forwards and does nothing else, in 20 lines. Run as `pass_through.py UPSTREAM PORT`."""

from __future__ import annotations

import sys

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

client = httpx.AsyncClient(base_url=sys.argv[1], timeout=60)


async def forward(request):
    headers = [(name, value) for name, value in request.headers.raw if name != b"host"]
    asked = client.build_request(
        request.method, request.url.path, headers=headers, content=await request.body()
    )
    answer = await client.send(asked, stream=True)
    response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=None)
    response.raw_headers = [(name.lower(), value) for name, value in answer.headers.raw]
    return response


app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
