"""What the realtime client of the Python Agents SDK makes of the agent at a URL, as one line of JSON."""

import asyncio
import json
import sys

from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.realtime.model_inputs import RealtimeModelSendRawMessage


async def main():
    agent = RealtimeAgent(name="Anyone", instructions="Be brief.")
    config = {"url": sys.argv[1], "api_key": "none", "initial_model_settings": {"tracing": None}}
    session = await RealtimeRunner(agent).run(model_config=config)
    told, errors, kinds = {}, [], set()
    async with session:
        events = session.__aiter__()

        async def turn(act):
            text, n_bytes = "", 0
            await act
            while True:
                event = await asyncio.wait_for(events.__anext__(), 60)
                kinds.add(event.type)
                if event.type == "error":
                    errors.append(str(event.error))
                if event.type == "audio":
                    n_bytes += len(event.audio.data)
                if event.type == "raw_model_event" and event.data.type == "transcript_delta":
                    text += event.data.delta
                if event.type == "agent_end" and text:
                    return [text, n_bytes]

        async def speak():
            await session.send_audio(bytes(4800), commit=True)
            await session.model.send_event(RealtimeModelSendRawMessage(message={"type": "response.create"}))

        told["text"] = await turn(session.send_message("hello"))
        told["tool"] = await turn(session.send_message("double"))
        told["audio"] = await turn(speak())
    print(json.dumps({**told, "errors": errors, "calls": sorted(kind for kind in kinds if "tool" in kind)}))


asyncio.run(main())
