"""An MCP server over stdio, without dependencies: a line of JSON in, a line of JSON out.

Write functions, and put @tool above each: its description and the JSON Schema of each parameter are what the model reads.
"""

import json
import sys

TOOLS = {}


def tool(description, **parameters):
    def add_tool(function):
        schema = {"type": "object", "properties": parameters, "required": list(parameters), "additionalProperties": False}
        spec = {"name": function.__name__, "description": description, "inputSchema": schema}
        TOOLS[function.__name__] = (function, spec)
        return function

    return add_tool


@tool(
    "Adds two numbers.",
    a={"type": "number", "description": "The first number."},
    b={"type": "number", "description": "The second number."},
)
def add(a, b):
    return a + b


def call(name, arguments):
    if name not in TOOLS:
        raise LookupError(f"unknown tool: {name}")
    function, _ = TOOLS[name]
    try:
        output = function(**arguments)
    except Exception as error:  # The model is told, and can do something about it.
        return {"content": [{"type": "text", "text": f"{type(error).__name__}: {error}"}], "isError": True}
    text = output if isinstance(output, str) else json.dumps(output)
    return {"content": [{"type": "text", "text": text}]}


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "NAME", "version": "0.1.0"},
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [spec for _, spec in TOOLS.values()]}
    if method == "tools/call":
        return call(params["name"], params.get("arguments", {}))
    raise LookupError(f"unknown method: {method}")


for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue  # A notification has no answer.
    try:
        reply = {"result": answer(request["method"], request.get("params", {}))}
    except LookupError as error:
        reply = {"error": {"code": -32601, "message": str(error)}}
    # What is printed otherwise must go to stderr: stdout is the protocol's.
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **reply}), flush=True)
