"""The same tasks by the Python Agents SDK, for numbers beside ours.

    python python_sdk.py URL LABEL chat|responses < tasks.json

Prints `{"tasks": n, "errors": {id: message}}`, as `outside_agent` does.
"""

import asyncio
import json
import sys

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    SQLiteSession,
    ToolExecutionConfig,
    set_tracing_disabled,
)
from agents.mcp import MCPServerStreamableHttp
from openai import AsyncOpenAI

N_CONCURRENT = 8


async def converse(base, wire, task, index):
    client = AsyncOpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0)
    Model = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}[wire]
    async with MCPServerStreamableHttp({"url": f"{base}/mcp"}) as server:
        agent = Agent(
            name="Assistant",
            model=Model(model="scripted", openai_client=client),
            mcp_servers=[server],
            model_settings=ModelSettings(),
        )
        session = SQLiteSession(task["id"])
        # The functions of a task act on one state: in order, one after the other.
        config = RunConfig(tool_execution=ToolExecutionConfig(max_function_tool_concurrency=1))
        for turn in task["turns"]:
            if index % 2 == 0:
                await Runner.run(agent, turn, session=session, run_config=config, max_turns=40)
            else:
                result = Runner.run_streamed(agent, turn, session=session, run_config=config, max_turns=40)
                async for _ in result.stream_events():
                    pass


async def main():
    url, label, wire = sys.argv[1:]
    set_tracing_disabled(True)
    tasks = json.load(sys.stdin)
    room, errors = asyncio.Semaphore(N_CONCURRENT), {}

    async def one(index, task):
        async with room:
            try:
                await converse(f"{url}/{label}/{task['id']}", wire, task, index)
            except Exception as error:  # whatever it is, it is this task's result
                errors[task["id"]] = f"{type(error).__name__}: {error}"

    await asyncio.gather(*(one(index, task) for index, task in enumerate(tasks)))
    print(json.dumps({"tasks": len(tasks), "errors": errors}))


asyncio.run(main())
