"""The official Python client against `openai-agents serve`, with an agent whose calculator needs approval.

    program.py MODE URL               over streamable HTTP
    program.py MODE COMMAND ARG...    over standard input and output, in the environment of this script

MODE is `auto`, which asks the server what it speaks, or `legacy`, which begins with a handshake.

Asks twice in one session; the user approves the first call and declines the second. Then a client asks that has no user.
Prints one JSON object with what was found.
"""

import asyncio
import json
import os
import sys
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import ElicitRequestParams, ElicitResult, ResourceTemplateReference, ResourceUpdatedNotification


def connect(mode: str, target: list[str], **options: Any) -> Client:
    if target[0].startswith("http"):
        return Client(target[0], mode=mode, **options)
    command = StdioServerParameters(command=target[0], args=target[1:], env=dict(os.environ))
    return Client(stdio_client(command), mode=mode, **options)


async def main(mode: str, target: list[str]) -> None:
    questions: list[str] = []

    async def on_question(_context: object, params: ElicitRequestParams) -> ElicitResult:
        questions.append(params.message)
        if len(questions) == 1:
            return ElicitResult(action="accept", content={"approve": True})
        return ElicitResult(action="decline")

    changed: asyncio.Queue[str] = asyncio.Queue()

    async def on_message(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            changed.put_nowait(str(message.params.uri))

    async with connect(mode, target, elicitation_callback=on_question, message_handler=on_message) as client:
        session = "session://sums%2F1"
        ask = {"input": "100 + 250?", "session": "sums/1"}
        asked = [(await client.call_tool("ask_careful", ask)).structured_content]
        if mode == "legacy":
            await client.subscribe_resource(session)
            asked.append((await client.call_tool("ask_careful", ask)).structured_content)
            heard = await asyncio.wait_for(changed.get(), 10)
        else:
            async with client.listen(resource_subscriptions=[session]) as changes:
                asked.append((await client.call_tool("ask_careful", ask)).structured_content)
                heard = str((await asyncio.wait_for(anext(aiter(changes)), 10)).uri)
        templates = await client.list_resource_templates()
        sessions = ResourceTemplateReference(type="ref/resource", uri="session://{+id}")
        completed = await client.complete(sessions, {"name": "id", "value": "su"})
        listed = await client.list_resources()
        uris = [str(resource.uri) for resource in listed.resources]
        read = [json.loads((await client.read_resource(uri)).contents[0].text) for uri in uris[:2]]
    async with connect(mode, target) as mute:
        refused = await mute.call_tool("ask_careful", {"input": "100 + 250?"})
    found = {
        "questions": questions,
        "changed": heard,
        "asked": asked,
        "templates": [template.uri_template for template in templates.resource_templates],
        "completed": completed.completion.values,
        "uris": uris,
        "session": read[0],
        "trace": read[1],
        "refused": [refused.is_error, refused.content[0].text],
    }
    print(json.dumps(found))


asyncio.run(main(sys.argv[1], sys.argv[2:]))
