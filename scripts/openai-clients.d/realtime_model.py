"""A realtime model for tests of our /v1/realtime with other people's clients: it speaks the protocol, and says what it was told to.

It calls the first tool with {"n":21} when it is asked to `double`, tells the tool's output, and otherwise that all is well; a turn in audio it
has heard. Each answer has 4,800 bytes of silence. Prints `LISTENING <url>` when it is ready.
"""

import asyncio
import base64
import json

import websockets

SILENCE = base64.b64encode(bytes(4800)).decode()


class Conversation:
    def __init__(self, peer):
        self.peer, self.number, self.said, self.output, self.tools = peer, 0, "", None, []

    async def send(self, name, **fields):
        self.number += 1
        await self.peer.send(json.dumps({"type": name, "event_id": f"event_{self.number}", **fields}))

    async def take(self, event):
        match event["type"]:
            case "session.update":
                self.tools = event["session"].get("tools", [])
                await self.send("session.updated", session={**event["session"], "object": "realtime.session"})
            case "conversation.item.create":
                await self.add(event["item"])
            case "input_audio_buffer.commit":
                self.said, self.output = "audio", None
                await self.send("input_audio_buffer.committed", item_id=f"item_{self.number}", previous_item_id=None)
            case "response.create":
                await self.answer()

    async def add(self, item):
        item = {**item, "id": f"item_{self.number}", "object": "realtime.item", "status": "completed"}
        if item.get("role") == "user":
            self.said, self.output = item["content"][0].get("text", ""), None
        if item["type"] == "function_call_output":
            self.output = item["output"]
        for name in ("added", "done"):
            await self.send(f"conversation.item.{name}", previous_item_id=None, item=item)

    async def answer(self):
        response, item = f"resp_{self.number}", f"item_{self.number}"
        usage = {"total_tokens": 3, "input_tokens": 1, "output_tokens": 2}

        def described(status, output):
            return {"id": response, "object": "realtime.response", "status": status, "output": output, "usage": usage}

        of_item = {"response_id": response, "item_id": item, "output_index": 0}
        await self.send("response.created", response=described("in_progress", []))
        if "double" in self.said and self.output is None:
            call = {"id": item, "object": "realtime.item", "type": "function_call", "status": "completed", "call_id": f"call_{item}"}
            call.update(name=self.tools[0]["name"], arguments='{"n":21}')
            await self.send("response.function_call_arguments.done", **of_item, call_id=call["call_id"], arguments=call["arguments"])
            done = call
        else:
            text = f"The answer is {self.output}." if self.output else "I heard you." if self.said == "audio" else "All is well."
            part = {**of_item, "content_index": 0}
            await self.send("response.output_audio_transcript.delta", **part, delta=text)
            await self.send("response.output_audio.delta", **part, delta=SILENCE)
            await self.send("response.output_audio.done", **part)
            await self.send("response.output_audio_transcript.done", **part, transcript=text)
            content = [{"type": "output_audio", "transcript": text}]
            done = {"id": item, "object": "realtime.item", "type": "message", "role": "assistant", "status": "completed", "content": content}
        await self.send("response.output_item.done", response_id=response, output_index=0, item=done)
        await self.send("response.done", response=described("completed", [done]))


async def serve(peer):
    conversation = Conversation(peer)
    await conversation.send("session.created", session={"type": "realtime", "object": "realtime.session", "id": "sess_1"})
    async for message in peer:
        await conversation.take(json.loads(message))


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        print(f"LISTENING http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await asyncio.Future()


asyncio.run(main())
