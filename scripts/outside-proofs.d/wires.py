"""A model that plays a script, on the two wires of the OpenAI API: Chat Completions and Responses.

Written from the public API reference of OpenAI (chat/create, chat/streaming, responses/create, responses-streaming).
"""

import json
import random
from dataclasses import dataclass

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@dataclass
class Asked:
    """What a request asks: all that the user said, the outputs since then, the tools."""

    user: list
    outputs: list
    tools: list


def pieces(text, seed):
    """A text in pieces of one to nine characters, the same in each run."""
    dice, start = random.Random(seed), 0
    while start < len(text):
        end = start + dice.randint(1, 9)
        yield text[start:end]
        start = end


class Chat:
    @staticmethod
    def read(request):
        user, outputs = [], []
        for message in request["messages"]:
            match message["role"]:
                case "user":
                    user.append(text_of(message["content"]))
                    outputs = []
                case "tool":
                    outputs.append(text_of(message["content"]))
        return Asked(user, outputs, [tool["function"]["name"] for tool in request.get("tools", [])])

    @staticmethod
    async def answer(send, request, answer):
        head = {"id": "chatcmpl-1", "created": 1, "model": request["model"]}
        if isinstance(answer, str):
            message, end = {"role": "assistant", "content": answer}, "stop"
        else:
            calls = [
                {"id": id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
                for id, call in answer
            ]
            message, end = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
        if not request.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": end, "logprobs": None}
            return await reply(send, head | {"object": "chat.completion", "choices": [choice], "usage": USAGE})
        chunk = head | {"object": "chat.completion.chunk"}
        events = [
            chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in Chat.deltas(message)
        ]
        events.append(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
        if request.get("stream_options", {}).get("include_usage"):
            events.append(chunk | {"choices": [], "usage": USAGE})
        await stream(send, [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"])

    @staticmethod
    def deltas(message):
        yield {"role": "assistant", "content": message["content"] and ""}
        for piece in pieces(message["content"] or "", 0):
            yield {"content": piece}
        for index, call in enumerate(message.get("tool_calls", [])):
            function = call["function"]
            yield {"tool_calls": [call | {"index": index, "function": function | {"arguments": ""}}]}
            for piece in pieces(function["arguments"], call["id"]):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


class Responses:
    @staticmethod
    def read(request):
        user, outputs = [], []
        for item in request["input"]:
            if item.get("role") == "user":
                user.append(text_of(item["content"]))
                outputs = []
            elif item.get("type") == "function_call_output":
                outputs.append(text_of(item["output"]))
        return Asked(user, outputs, [tool["name"] for tool in request.get("tools", [])])

    @staticmethod
    async def answer(send, request, answer):
        if isinstance(answer, str):
            text = {"type": "output_text", "text": answer, "annotations": []}
            items = [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}]
        else:
            items = [
                {
                    "id": f"fc_{id}", "type": "function_call", "call_id": id, "name": call.name, "status": "completed",
                    "arguments": json.dumps(call.arguments),
                }
                for id, call in answer
            ]
        usage = {
            "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
        }
        response = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": request["model"], "status": "completed",
            "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "output": items,
            "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "usage": usage,
        }
        if not request.get("stream"):
            return await reply(send, response)
        begun = response | {"status": "in_progress", "output": [], "usage": None}
        events = [{"type": "response.created", "response": begun}]
        for index, item in enumerate(items):
            events += Responses.events(index, item)
        events.append({"type": "response.completed", "response": response})
        lines = [
            f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n"
            for number, event in enumerate(events)
        ]
        await stream(send, lines)

    @staticmethod
    def events(index, item):
        where = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            part, where = item["content"][0], where | {"content_index": 0}
            begun = item | {"status": "in_progress", "content": []}
            kind, text, done = "output_text", part["text"], {"text": part["text"]}
            yield {"type": "response.output_item.added", "output_index": index, "item": begun}
            yield {"type": "response.content_part.added", **where, "part": part | {"text": ""}}
        else:
            begun = item | {"status": "in_progress", "arguments": ""}
            kind, text, done = "function_call_arguments", item["arguments"], {"arguments": item["arguments"]}
            yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        for piece in pieces(text, item["id"]):
            yield {"type": f"response.{kind}.delta", **where, "delta": piece}
        yield {"type": f"response.{kind}.done", **where, **done}
        if item["type"] == "message":
            yield {"type": "response.content_part.done", **where, "part": part}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}


WIRES = {"chat/completions": Chat, "responses": Responses}


def text_of(content):
    """The text of a content, of its parts, or of the one part that the Python SDK writes as JSON."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content)
    if content.startswith('{"type":"text","text":'):
        return json.loads(content)["text"]
    return content


async def body(receive):
    result = b""
    while True:
        message = await receive()
        result += message.get("body", b"")
        if not message.get("more_body"):
            return result


async def reply(send, value, status=200):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def stream(send, events):
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    # In blocks that end where they happen to, also within an event.
    whole = "".join(events).encode()
    for start in range(0, len(whole), 1500):
        await send({"type": "http.response.body", "body": whole[start : start + 1500], "more_body": True})
    await send({"type": "http.response.body"})
