"""The official Python client and server of MCP, within a trace of OpenTelemetry.

    otlp_mcp.py call TRACEPARENT URL TOOL...   calls agents and tools in the span that TRACEPARENT names
    otlp_mcp.py serve                          serves, on standard input and output, a tool that says in which span it was called
"""

import asyncio
import sys

from mcp import Client
from mcp.server.mcpserver import MCPServer
from opentelemetry import trace
from opentelemetry.propagate import extract, inject

server = MCPServer("foreign")


@server.tool()
def where() -> str:
    """Says in which span it was called."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent", "nowhere")


async def call(traceparent: str, url: str, tools: list[str]) -> None:
    span = trace.get_current_span(extract({"traceparent": traceparent}))
    with trace.use_span(span):
        async with Client(url) as client:
            for tool in tools:
                result = await client.call_tool(tool, {"input": "x"} if tool.startswith("ask_") else {})
                assert not result.is_error, result


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        server.run()
    else:
        asyncio.run(call(sys.argv[2], sys.argv[3], sys.argv[4:]))
