"""A tool that answers with a text, by the official Python SDK without sessions, on uvicorn.

Arguments: bytes of the text.
"""

import asyncio
import logging
import socket
import sys

import uvicorn
from mcp.server import MCPServer

TEXT = "x" * int(sys.argv[1])
logging.disable(logging.WARNING)
server = MCPServer("bench")


@server.tool()
async def bench_text() -> str:
    """Answers with a text."""
    return TEXT


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
    app = server.streamable_http_app(stateless_http=True, json_response=True)
    config = uvicorn.Config(app, log_level="error", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])


asyncio.run(main())
