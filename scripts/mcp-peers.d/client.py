"""The official Python client against a server of ours.

    client.py MODE URL               over streamable HTTP
    client.py MODE COMMAND ARG...    over standard input and output

MODE is `auto`, which asks the server what it speaks, or `legacy`, which begins with a handshake.

Prints one JSON object: what was negotiated and what was found.
"""

import asyncio
import json
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main(mode: str, target: list[str]) -> None:
    progress: list[str] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append(message or "")

    if target[0].startswith("http"):
        server = target[0]
    else:
        server = stdio_client(StdioServerParameters(command=target[0], args=target[1:]))
    async with Client(server, mode=mode) as client:
        tools = await client.list_tools()
        asked = await client.call_tool("ask_test_guide", {"input": "How is it?"}, progress_callback=on_progress)
        failed = await client.call_tool("test_error_handling", {})
        prompts = await client.list_prompts()
        prompt = await client.get_prompt("Test Guide", {"input": "Hello."})
        read = await client.read_resource("test://template/7/data")
        print(
            json.dumps(
                {
                    "protocol_version": client.protocol_version,
                    "n_tools": len(tools.tools),
                    "asked": asked.structured_content,
                    "progress": progress,
                    "failed": [failed.is_error, failed.content[0].text],
                    "n_prompts": len(prompts.prompts),
                    "prompt": [message.content.text for message in prompt.messages],
                    "read": json.loads(read.contents[0].text),
                }
            )
        )


asyncio.run(main(sys.argv[1], sys.argv[2:]))
