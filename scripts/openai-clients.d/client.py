"""What OpenAI's Python client and the Python Agents SDK make of the agents at a URL, as one line of JSON."""

import asyncio
import json
import sys
import urllib.error
import urllib.request

import agents
import openai
import pydantic


class City(pydantic.BaseModel):
    city: str
    population: int


def refused(ask):
    try:
        ask()
    except openai.APIError as error:
        return [type(error).__name__, error.code, getattr(error, "status_code", None)]
    return None


def chat(client):
    def ask(text, **more):
        messages = [{"role": "user", "content": text}]
        return client.chat.completions.create(model="Guide", messages=messages, **more)

    whole = ask("hello")
    chunks = list(ask("double", stream=True, stream_options={"include_usage": True}))
    parsed = client.chat.completions.parse(
        model="Guide", messages=[{"role": "user", "content": "a city"}], response_format=City
    )
    return {
        "whole": whole.choices[0].message.content,
        "total_tokens": whole.usage.total_tokens,
        "request_id": bool(whole._request_id),
        "stream": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
        "stream_tokens": chunks[-1].usage.total_tokens,
        "parsed": parsed.choices[0].message.parsed.model_dump(),
        "refused": [
            refused(lambda: client.chat.completions.create(model="x", messages=[{"role": "user", "content": "a"}])),
            refused(lambda: ask("hello", n=2)),
            refused(lambda: ask("fail")),
            refused(lambda: ask("fail", stream=True)),
            refused(lambda: list(ask("break", stream=True))),
        ],
    }


def responses(client):
    whole = client.responses.create(model="Guide", input="double")
    with client.responses.stream(model="Guide", input="double") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    following = client.responses.create(model="Guide", input="how long", previous_response_id=whole.id)
    said = [client.responses.create(model="Guide", input="how long", conversation="conv_py") for _ in range(2)]
    parsed = client.responses.parse(model="Guide", input="a city", text_format=City)
    kept = client.responses.retrieve(whole.id)
    client.responses.delete(whole.id)
    return {
        "items": [item.type for item in whole.output],
        "tool": [whole.output[0].name, whole.output[0].arguments, whole.output[0].output],
        "text": whole.output_text,
        "stream": final.output_text,
        "kinds": kinds,
        "following": following.output_text,
        "conversation": [one.output_text for one in said],
        "parsed": parsed.output_parsed.model_dump(),
        "kept": kept.output_text,
        "total_tokens": whole.usage.total_tokens,
        "refused": [
            refused(lambda: client.responses.retrieve(whole.id)),
            refused(lambda: client.responses.create(model="Guide", input="a", background=True)),
            refused(lambda: client.responses.create(model="Guide", input="fail")),
            refused(lambda: list(client.responses.create(model="Guide", input="fail", stream=True))),
        ],
    }


def conversations(client):
    def message(text):
        return {"type": "message", "role": "user", "content": text}

    def texts(items):
        return [item.content[0].text for item in items if item.type == "message"]

    conversation = client.conversations.create(items=[message("a")], metadata={"topic": "x"})
    at = {"conversation_id": conversation.id}
    updated = client.conversations.update(conversation.id, metadata={"topic": "y"})
    kept = client.conversations.retrieve(conversation.id)
    added = client.conversations.items.create(items=[message("b"), message("c")], **at)
    paged = list(client.conversations.items.list(order="asc", limit=2, **at))
    one = client.conversations.items.retrieve(added.first_id, **at)
    client.conversations.items.delete(added.first_id, **at)
    asked = {"model": "Guide", "conversation": conversation.id}
    answered = client.responses.create(input="how long", **asked)
    client.responses.create(input="double", **asked)
    items = list(client.conversations.items.list(**at))
    deleted = client.conversations.delete(conversation.id)
    return {
        "metadata": [conversation.metadata, updated.metadata, kept.metadata],
        "created": [updated.created_at, kept.created_at] == [conversation.created_at] * 2,
        "paged": texts(paged),
        "one": texts([one]),
        "answered": answered.output_text,
        "latest": texts(items)[0],
        "kinds": [item.type for item in items],
        "deleted": [deleted.object, deleted.deleted],
        "refused": [
            refused(lambda: client.conversations.retrieve(conversation.id)),
            refused(lambda: client.conversations.items.retrieve(added.first_id, **at)),
            refused(lambda: client.conversations.items.create(items=[], include=["reasoning.encrypted_content"], **at)),
        ],
    }


async def session(client):
    """A conversation of an agent on this side, which the server keeps; the SDK's model for the chat API cannot read those."""
    model = agents.OpenAIResponsesModel("Guide", client)
    kept = agents.OpenAIConversationsSession(openai_client=client)
    agent = agents.Agent(name="Remote", instructions="Be brief.", model=model)
    whole = await agents.Runner.run(agent, "double", session=kept)
    first = kept.session_id
    again = await agents.Runner.run(agent, "how long", session=kept)
    items = await kept.get_items()
    popped = await kept.pop_item()
    await kept.add_items([{"role": "user", "content": str(n)} for n in range(50)])
    many = await kept.get_items()
    latest = await kept.get_items(limit=2)
    elsewhere = agents.OpenAIConversationsSession(conversation_id=first, openai_client=client)
    await kept.clear_session()
    return {
        "whole": whole.final_output,
        "again": again.final_output,
        "kinds": [item["type"] for item in items],
        "popped": popped["content"][0]["text"],
        "many": [item["content"][0]["text"] for item in many[-50:]] == [str(n) for n in range(50)],
        "n_many": len(many) - len(items),
        "latest": [item["content"][0]["text"] for item in latest],
        "cleared": [await kept.get_items(), await elsewhere.get_items(), kept.session_id != first],
    }


def invalid(url):
    """Names the answers that are not of the types of the specification, by OpenAI's own package; it reads them loosely elsewhere."""
    chat, responses = openai.types.chat, openai.types.responses
    chunk = pydantic.TypeAdapter(chat.ChatCompletionChunk)
    event = pydantic.TypeAdapter(responses.ResponseStreamEvent)
    found = []

    def post(path, body):
        head = {"content-type": "application/json"}
        request = urllib.request.Request(url + path, json.dumps({"model": "Guide", **body}).encode(), head)
        try:
            return urllib.request.urlopen(request).read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def check(name, read, data):
        try:
            read(data)
        except pydantic.ValidationError:
            found.append(name)

    def check_stream(name, adapter, text):
        for line in text.splitlines():
            if line.startswith("data: {") and not line.startswith('data: {"error"'):
                data = json.loads(line[6:])
                check([name, data.get("type")], adapter.validate_python, data)

    function = {"name": "where", "parameters": {"type": "object", "properties": {}}}
    for text in ["hello", "double", "refuse", "where", "fail", "busy", "break"]:
        asked = {"messages": [{"role": "user", "content": text}], "tools": [{"type": "function", "function": function}]}
        whole = json.loads(post("/chat/completions", asked))
        if "error" not in whole:
            check(["chat", text], chat.ChatCompletion.model_validate, whole)
        stream = {"stream": True, "stream_options": {"include_usage": True}}
        check_stream(text, chunk, post("/chat/completions", asked | stream))
        asked = {"input": text, "tools": [{"type": "function", **function}]}
        whole = json.loads(post("/responses", asked))
        if whole.get("object") == "response":
            check(["responses", text], responses.Response.model_validate, whole)
        check_stream(text, event, post("/responses", asked | {"stream": True}))
    return found


async def sdk(url):
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    told = {}
    for name, model in [
        ("responses", agents.OpenAIResponsesModel("Guide", client)),
        ("chat", agents.OpenAIChatCompletionsModel("Guide", client)),
    ]:
        agent = agents.Agent(name="Remote", instructions="Be brief.", model=model)
        whole = await agents.Runner.run(agent, "double")
        stream = agents.Runner.run_streamed(agent, "double")
        deltas = []
        async for event in stream.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                deltas.append(event.data.delta)
        again = await agents.Runner.run(agent, whole.to_input_list() + [{"role": "user", "content": "how long"}])
        typed = agents.Agent(name="Typed", model=model, output_type=City)
        parsed = await agents.Runner.run(typed, "a city")
        try:
            await agents.Runner.run(agent, "fail")
            failed = None
        except openai.APIError as error:
            failed = [type(error).__name__, error.code]
        told[name] = {
            "whole": whole.final_output,
            "stream": "".join(deltas),
            "again": again.final_output,
            "parsed": parsed.final_output.model_dump(),
            "failed": failed,
        }
    told["session"] = await session(client)
    return told


def main(url):
    client = openai.OpenAI(base_url=url, api_key="none")
    models = [model.id for model in client.models.list()]
    told = {"models": models, "model": client.models.retrieve("Guide").id}
    told |= {"chat": chat(client), "responses": responses(client), "conversations": conversations(client), "invalid": invalid(url), "sdk": asyncio.run(sdk(url))}
    print(json.dumps(told))


main(sys.argv[1])
