"""What each Python client makes of each feature, as one line of JSON: {client: {feature: outcome}}.

Every client is used as it comes: its default structured output, its JSON mode, its streaming, its pictures, its errors.
"""

import base64
import importlib
import importlib.metadata
import json
import struct
import sys
import zlib

import pydantic

URL, KEY = sys.argv[2], "key-1"


class City(pydantic.BaseModel):
    city: str
    population: int


def png():
    """A picture of one pixel, which every client takes for one."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0\0\0")) + chunk(b"IEND", b"")


PICTURE = "data:image/png;base64," + base64.b64encode(png()).decode()
PARTS = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
WHERE = {"type": "function", "function": {"name": "where", "parameters": {"type": "object", "properties": {}}}}


def is_city(value):
    return (value if isinstance(value, dict) else value.model_dump()) == {"city": "Paris", "population": 7}


def outcome(feature, ask):
    """`ok` where the client gives what it should; the name of its exception where it raises one."""
    try:
        given = ask()
    except Exception as error:  # What a client raises is what is told of it.
        return type(error).__name__
    expect = {"answer": "All is well.", "stream": "The answer is 42.", "image": "I see a picture.", "tool": "The answer is Paris."}
    if feature in expect:
        return "ok" if given == expect[feature] else f"wrong: {given!r}"
    if feature in ("output", "other output", "json"):
        return "ok" if is_city(given) else f"wrong: {given!r}"
    if feature == "refusal":
        return "told" if given == "I do not do that." else f"wrong: {given!r}"
    return f"no error: {given!r}"


def openai_client(key=KEY):
    return importlib.import_module("openai").OpenAI(base_url=URL, api_key=key)


def openai_chat():
    def ask(content, key=KEY, model="Guide", **more):
        return openai_client(key).chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)

    def text(content, **more):
        return ask(content, **more).choices[0].message.content

    def parse():
        messages = [{"role": "user", "content": "a city"}]
        return openai_client().chat.completions.parse(model="Guide", messages=messages, response_format=City).choices[0].message.parsed

    def stream():
        messages = [{"role": "user", "content": "double"}]
        with openai_client().chat.completions.stream(model="Guide", messages=messages) as events:
            return "".join(event.delta for event in events if event.type == "content.delta")

    def tool():
        call = ask("where", tools=[WHERE]).choices[0].message
        output = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "Paris"}
        messages = [{"role": "user", "content": "where"}, call, output]
        return openai_client().chat.completions.create(model="Guide", messages=messages, tools=[WHERE]).choices[0].message.content

    return {
        "answer": lambda: text("hello"),
        "stream": stream,
        "output": parse,
        "json": lambda: json.loads(text("a city", response_format={"type": "json_object"})),
        "image": lambda: text(PARTS),
        "tool": tool,
        "key": lambda: text("hello", key="wrong"),
        "model": lambda: text("hello", model="x"),
        "429": lambda: text("busy"),
        "500": lambda: text("fail"),
        "refusal": lambda: ask("refuse").choices[0].message.refusal,
    }


def openai_responses():
    def ask(content, key=KEY, model="Guide", **more):
        return openai_client(key).responses.create(model=model, input=content, **more)

    def stream():
        with openai_client().responses.stream(model="Guide", input="double") as events:
            return "".join(event.delta for event in events if event.type == "response.output_text.delta")

    def tool():
        where = {"type": "function", "strict": False, **WHERE["function"]}
        first = ask("where", tools=[where])
        output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "Paris"}
        return ask([output], tools=[where], previous_response_id=first.id).output_text

    picture = [{"role": "user", "content": [{"type": "input_image", "image_url": PICTURE, "detail": "auto"}]}]
    return {
        "answer": lambda: ask("hello").output_text,
        "stream": stream,
        "output": lambda: openai_client().responses.parse(model="Guide", input="a city", text_format=City).output_parsed,
        "json": lambda: json.loads(ask("a city", text={"format": {"type": "json_object"}}).output_text),
        "image": lambda: ask(picture).output_text,
        "tool": tool,
        "key": lambda: ask("hello", key="wrong"),
        "model": lambda: ask("hello", model="x"),
        "429": lambda: ask("busy"),
        "500": lambda: ask("fail"),
        "refusal": lambda: ask("refuse").output[0].content[0].refusal,
    }


def langchain(**api):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    def model(key=KEY, name="Guide"):
        return ChatOpenAI(model=name, base_url=URL, api_key=key, **api)

    def text(content, **more):
        return model(**more).invoke([HumanMessage(content)]).text

    @tool
    def where() -> str:
        """Says where."""
        return "Paris"

    def tools():
        bound = model().bind_tools([where])
        first = bound.invoke("where")
        output = ToolMessage(where.invoke(first.tool_calls[0]["args"]), tool_call_id=first.tool_calls[0]["id"])
        return bound.invoke([HumanMessage("where"), first, output]).text

    def refusal():
        message = model().invoke("refuse")
        told = message.additional_kwargs.get("refusal")
        return told or [part["refusal"] for part in message.content if part["type"] == "refusal"][0]

    return {
        "answer": lambda: text("hello"),
        "stream": lambda: "".join(chunk.text for chunk in model().stream("double")),
        "output": lambda: model().with_structured_output(City).invoke("a city"),
        "other output": lambda: model().with_structured_output(City, method="function_calling").invoke("a city"),
        "json": lambda: model().with_structured_output(City, method="json_mode").invoke("a city as JSON"),
        "image": lambda: text(PARTS),
        "tool": tools,
        "key": lambda: text("hello", key="wrong"),
        "model": lambda: text("hello", name="x"),
        "429": lambda: text("busy"),
        "500": lambda: text("fail"),
        "refusal": refusal,
    }


def pydantic_ai(name):
    from pydantic_ai import Agent, BinaryContent, NativeOutput, PromptedOutput
    from pydantic_ai.providers.openai import OpenAIProvider

    kind = getattr(importlib.import_module("pydantic_ai.models.openai"), name)

    def agent(key=KEY, model="Guide", **more):
        return Agent(kind(model, provider=OpenAIProvider(base_url=URL, api_key=key)), **more)

    def text(prompt, **more):
        return agent(**more).run_sync(prompt).output

    def stream():
        import asyncio

        async def read():
            async with agent().run_stream("double") as result:
                return [text async for text in result.stream_text()][-1]

        return asyncio.run(read())

    def where() -> str:
        return "Paris"

    return {
        "answer": lambda: text("hello"),
        "stream": stream,
        "output": lambda: text("a city", output_type=City),
        "other output": lambda: text("a city", output_type=NativeOutput(City)),
        "json": lambda: text("a city", output_type=PromptedOutput(City)),
        "image": lambda: text(["what is this", BinaryContent(png(), media_type="image/png")]),
        "tool": lambda: text("where", tools=[where]),
        "key": lambda: text("hello", key="wrong"),
        "model": lambda: text("hello", model="x"),
        "429": lambda: text("busy"),
        "500": lambda: text("fail"),
        "refusal": lambda: text("refuse"),
    }


def litellm():
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True

    def ask(content, key=KEY, model="Guide", **more):
        messages = content if isinstance(content, list) and "role" in content[0] else [{"role": "user", "content": content}]
        return litellm.completion(model=f"openai/{model}", api_base=URL, api_key=key, messages=messages, **more)

    def text(content, **more):
        return ask(content, **more).choices[0].message.content

    def tool():
        call = ask("where", tools=[WHERE]).choices[0].message
        output = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "Paris"}
        return text([{"role": "user", "content": "where"}, call.model_dump(), output], tools=[WHERE])

    def refusal():
        message = ask("refuse").choices[0].message
        return getattr(message, "refusal", None) or (message.provider_specific_fields or {}).get("refusal")

    return {
        "answer": lambda: text("hello"),
        "stream": lambda: "".join(chunk.choices[0].delta.content or "" for chunk in ask("double", stream=True)),
        "output": lambda: City.model_validate_json(text("a city", response_format=City)),
        "json": lambda: json.loads(text("a city", response_format={"type": "json_object"})),
        "image": lambda: text(PARTS),
        "tool": tool,
        "key": lambda: text("hello", key="wrong"),
        "model": lambda: text("hello", model="x"),
        "429": lambda: text("busy"),
        "500": lambda: text("fail"),
        "refusal": refusal,
    }


def instructor():
    import instructor
    from instructor.processing.multimodal import Image

    def ask(content="a city", key=KEY, model="Guide", **mode):
        client = instructor.from_openai(openai_client(key), **mode)
        return client.chat.completions.create(model=model, response_model=City, messages=[{"role": "user", "content": content}])

    def stream():
        client = instructor.from_openai(openai_client())
        partial = client.chat.completions.create_partial(
            model="Guide", response_model=City, messages=[{"role": "user", "content": "a city"}]
        )
        return "The answer is 42." if is_city(list(partial)[-1]) else "no city"

    def image():
        return "I see a picture." if is_city(ask(["a city", Image.from_base64(PICTURE)])) else "no city"

    return {
        "stream": stream,
        "output": ask,
        "other output": lambda: ask(mode=instructor.Mode.JSON_SCHEMA),
        "json": lambda: ask(mode=instructor.Mode.JSON),
        "image": image,
        "key": lambda: ask(key="wrong"),
        "model": lambda: ask(model="x"),
        "429": lambda: ask("busy"),
        "500": lambda: ask("fail"),
        "refusal": lambda: ask("refuse"),
    }


def llama_index():
    from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    def model(key=KEY, name="Guide", **more):
        # It tries again by itself, whatever the server says, unless it is told not to.
        return OpenAILike(model=name, api_base=URL, api_key=key, is_chat_model=True, max_retries=0, **more)

    def text(content, **more):
        return model(**more).chat([ChatMessage(content)]).message.content

    def where() -> str:
        """Says where."""
        return "Paris"

    def tool():
        return model(is_function_calling_model=True).predict_and_call([FunctionTool.from_defaults(where)], "where").response

    picture = ChatMessage(blocks=[TextBlock(text="what is this"), ImageBlock(url=PICTURE)])
    json_mode = {"additional_kwargs": {"response_format": {"type": "json_object"}}}
    return {
        "answer": lambda: text("hello"),
        "stream": lambda: "".join(chunk.delta or "" for chunk in model().stream_chat([ChatMessage("double")])),
        "output": lambda: model(is_function_calling_model=True).as_structured_llm(City).chat([ChatMessage("a city")]).raw,
        "other output": lambda: model(should_use_structured_outputs=True).as_structured_llm(City).chat([ChatMessage("a city")]).raw,
        "json": lambda: json.loads(text("a city", **json_mode)),
        "image": lambda: model().chat([picture]).message.content,
        "tool": lambda: f"The answer is {tool()}.",
        "key": lambda: text("hello", key="wrong"),
        "model": lambda: text("hello", name="x"),
        "429": lambda: text("busy"),
        "500": lambda: text("fail"),
        "refusal": lambda: model().chat([ChatMessage("refuse")]).raw.choices[0].message.refusal,
    }


CLIENTS = {
    "openai-3": {
        "openai (Python), chat": ("openai", openai_chat),
        "openai (Python), responses": ("openai", openai_responses),
        "LangChain, chat": ("langchain-openai", langchain),
        "LangChain, responses": ("langchain-openai", lambda: langchain(use_responses_api=True)),
        "pydantic-ai, chat": ("pydantic-ai-slim", lambda: pydantic_ai("OpenAIChatModel")),
        "pydantic-ai, responses": ("pydantic-ai-slim", lambda: pydantic_ai("OpenAIResponsesModel")),
        "LiteLLM": ("litellm", litellm),
    },
    "openai-2": {
        "instructor": ("instructor", instructor),
        "LlamaIndex, OpenAILike": ("llama-index-llms-openai-like", llama_index),
    },
}

told = {}
for client, (package, features) in CLIENTS[sys.argv[1]].items():
    asked = features()
    told[client] = {feature: outcome(feature, ask) for feature, ask in asked.items()}
    told[client]["version"] = importlib.metadata.version(package)
print(json.dumps(told))
