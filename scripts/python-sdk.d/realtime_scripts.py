"""Plays the scripts of tests/fixtures/realtime to the realtime client of the Python SDK, and says where it does something else.

    scripts/python-sdk run -- sh -c '"$PYTHON_SDK" scripts/python-sdk.d/realtime_scripts.py [SCRIPT..]'

It stands in for the server, and does what a script's user does. What only our sessions have words for (`event`, `history`, `refused`, `opened`) is
passed over, and so are settings and `conversation.item.retrieve`, which this SDK sends unasked. Its clock cannot be set: a script in which time
counts and nothing is reported is passed over as a whole. A line that is expected is waited for; what comes beside it is counted if it
asks for an answer, cancels, truncates or gives an output.
"""

import asyncio
import base64
import json
import re
import sys
from pathlib import Path

import websockets
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimePlaybackTracker, RealtimeRunner, realtime_handoff
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel
from agents.guardrail import GuardrailFunctionOutput, OutputGuardrail

FOLDER = Path(__file__).resolve().parents[2] / "tests/fixtures/realtime"
COUNTED = {"response.create", "response.cancel", "conversation.item.truncate", "conversation.item.create", "input_audio_buffer.append"}
PATIENCE = 1.5
QUIET = 0.25


class Differs(Exception):
    """What the client did otherwise."""


def silence(text):
    length, _, form = text[1:].partition(":")
    rate, size = (24000, 2) if form == "" else (8000, 1)
    return bytes(int(length.removesuffix("ms")) * rate // 1000 * size)


def fill_in(value):
    if isinstance(value, str) and value.startswith("$"):
        return base64.b64encode(silence(value)).decode()
    if isinstance(value, list):
        return [fill_in(item) for item in value]
    if isinstance(value, dict):
        return {key: fill_in(item) for key, item in value.items()}
    return value


def complete(event):
    """Adds what the protocol asks for and our scripts leave out, since nothing there needs it; this SDK passes over an event without it."""
    event = fill_in(event)
    event.setdefault("event_id", "event_1")
    if event["type"].startswith("response.") and "response" not in event:
        event = {"response_id": "resp_1", "output_index": 0, "content_index": 0, **event}
    if event["type"].endswith("speech_started"):
        event.setdefault("audio_start_ms", 0)
    if event["type"].endswith("speech_stopped"):
        event.setdefault("audio_end_ms", 0)
    if event["type"].endswith("transcription.completed"):
        event.setdefault("usage", {"type": "duration", "seconds": 1})
    if isinstance(event.get("item"), dict):
        event["item"].setdefault("object", "realtime.item")
        event["item"].setdefault("status", "completed")
    if isinstance(event.get("response"), dict):
        event["response"].setdefault("object", "realtime.response")
        event["response"].setdefault("output", [])
    return event


def has_fields(value, expected):
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(key in value and has_fields(value[key], item) for key, item in expected.items())
    if isinstance(expected, list):
        return isinstance(value, list) and len(value) == len(expected) and all(map(has_fields, value, expected))
    return value == expected


def agents(ends):
    @function_tool(name_override="book", strict_mode=False)
    async def book(seat: int = 0) -> str:
        return await ends.setdefault(f"call_{seat or 1}", asyncio.get_event_loop().create_future())

    @function_tool(name_override="pay", strict_mode=False, needs_approval=True)
    async def pay(amount: int = 0) -> str:
        return f"paid {amount}"

    @function_tool(name_override="fail", strict_mode=False)
    async def fail() -> str:
        raise ValueError("broken")

    async def no_secrets(_cx, _agent, output):
        return GuardrailFunctionOutput(output_info="a secret", tripwire_triggered="secret" in output)

    billing = RealtimeAgent(name="Billing", instructions="Bills.")
    guardrail = OutputGuardrail(guardrail_function=no_secrets, name="no secrets")
    return RealtimeAgent(name="Clerk", instructions="Sells seats.", tools=[book, pay, fail], handoffs=[realtime_handoff(billing)], output_guardrails=[guardrail])


class Stage:
    def __init__(self):
        self.received, self.peer, self.ends = asyncio.Queue(), asyncio.Queue(), {}
        self.tracker = RealtimePlaybackTracker()
        self.counted = []

    async def serve(self, peer):
        await self.peer.put(peer)
        async for message in peer:
            event = json.loads(message)
            if event["type"] in COUNTED | {"input_audio_buffer.commit", "input_audio_buffer.clear"}:
                await self.received.put(event)

    async def expect(self, expected):
        deadline = asyncio.get_event_loop().time() + PATIENCE
        while True:
            left = deadline - asyncio.get_event_loop().time()
            try:
                event = await asyncio.wait_for(self.received.get(), max(left, 0.01))
            except asyncio.TimeoutError:
                raise Differs(f"does not send {json.dumps(expected)[:110]}") from None
            if has_fields(event, expected):
                return
            self.counted.append(event)

    async def rest(self):
        await asyncio.sleep(QUIET)
        while not self.received.empty():
            self.counted.append(self.received.get_nowait())
        if self.counted:
            raise Differs("sends beside it: " + ", ".join(json.dumps(event)[:90] for event in self.counted[:3]))

    async def line(self, line, session, peer):
        word, _, rest = line.partition(" ")
        first, _, behind = rest.partition(" ")
        if word == "<-":
            await peer.send(json.dumps(complete(json.loads(rest))))
            await asyncio.sleep(0.02)
        elif word == "->":
            expected = fill_in(json.loads(rest))
            if expected["type"] != "session.update":
                await self.expect(expected)
        elif word == "played":
            self.tracker.on_play_ms(first, 0, float(behind.removesuffix("ms")))
        elif word == "tool":
            end = self.ends.setdefault(first, asyncio.get_event_loop().create_future())
            end.set_result(behind.removeprefix("gives "))
            await asyncio.sleep(0.02)
        elif word == "user" and first == "text":
            await session.send_message(behind)
        elif word == "user" and first == "audio":
            number = behind.split()[0]
            await session.send_audio(bytes(int(number)) if "bytes" in behind else silence("$" + behind))
        elif word == "user" and first == "interrupt":
            await session.interrupt()
        elif word == "user" and first == "approve":
            await session.approve_tool_call(behind)
        elif word == "user" and first == "reject":
            await session.reject_tool_call(behind.split(" ", 1)[0])
        elif word == "user":
            raise Differs(f"has no way to `{first}`")
        elif word == "close":
            await peer.close(int(first), behind)


async def play(path):
    lines = [line.strip() for line in path.read_text().splitlines()]
    lines = [re.sub(r"^at \d+ms ?", "", line) for line in lines]
    lines = [line for line in lines if line and not line.startswith("#")]
    stage = Stage()
    async with websockets.serve(stage.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = {"tracing": None, "input_audio_format": "pcm16", "output_audio_format": "pcm16"}
        if lines[0].startswith("session") and "pcmu" in lines[0]:
            settings.update(input_audio_format="g711_ulaw", output_audio_format="g711_ulaw")
        runner = RealtimeRunner(agents(stage.ends), model=OpenAIRealtimeWebSocketModel())
        config = {"url": f"ws://127.0.0.1:{port}", "api_key": "none", "playback_tracker": stage.tracker, "initial_model_settings": settings}
        session = await runner.run(model_config=config)
        async with session:
            async def read():
                async for _ in session:
                    pass
            reading = asyncio.create_task(read())
            peer = await asyncio.wait_for(stage.peer.get(), PATIENCE)
            try:
                for number, line in enumerate(lines, 1):
                    await stage.line(line, session, peer)
                await stage.rest()
            finally:
                reading.cancel()


def depends_on_clock(path):
    text = path.read_text()
    is_reported = re.search(r"^(at \d+ms )?played ", text, re.M)
    return "\nat " in text and not is_reported and ("truncate" in text or "assistant" in text)


async def main(paths):
    n_same = n_other = 0
    for path in paths:
        if depends_on_clock(path):
            print(f"clock   {path.stem}")
            continue
        try:
            await asyncio.wait_for(play(path), 30)
            n_same += 1
            print(f"same    {path.stem}")
        except Differs as differs:
            n_other += 1
            print(f"differs {path.stem}: {differs}")
        except Exception as error:
            n_other += 1
            print(f"differs {path.stem}: {type(error).__name__}: {error}")
    print(f"{n_same} the same, {n_other} different")


if __name__ == "__main__":
    named = [FOLDER / f"{name}.script" for name in sys.argv[1:]]
    asyncio.run(main(named or sorted(FOLDER.glob("*.script"))))
