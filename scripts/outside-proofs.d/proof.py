"""A benchmark whose ground truth is played to an agent, and whose own checker judges what arrived.

Served below /LABEL, the name of one pass over the tasks; its state is its own:

    GET /LABEL/tasks                            the tasks: an id and what the user says, turn by turn
    /LABEL/TASK/mcp                             the functions of the task, as tools (PyPI `mcp`, streamable HTTP)
    POST /LABEL/TASK/v1/chat/completions        a model that plays the ground truth, whole or streamed
    POST /LABEL/TASK/v1/responses
    GET /LABEL/verdict                          what the benchmark's checker says of the calls that arrived, and what else is wrong

A label that ends in `-flipped` is the negative control: one argument of each task is played wrongly. It lacks the tasks in
which no one argument matters to the checker.

Held to more than the checkers ask for: the calls that arrived are those that were played, in order and with the same types;
the model gets back, word for word, what each function gave.
"""

import asyncio
import contextlib
import copy
import json
import resource
import sys
from dataclasses import dataclass

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

import wires


@dataclass(frozen=True)
class Call:
    """One call: a function and its arguments by name."""

    name: str
    arguments: dict

    def as_python(self):
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    def as_json(self):
        """Tells 1 from 1.0 and from True, which Python's == does not."""
        return f"{self.name} {json.dumps(self.arguments)}"


class Pass:
    """One task in one pass: what was played, what arrived, what was answered.

    A task has an `id`, `turns` (what the user says), `tools(turn)` and `start()`, which gives what its calls act on: an object
    with `call(name, arguments)` and `verdict(arrived, label)`, what the benchmark's checker minds, or "".
    """

    def __init__(self, label, task):
        self.label = label
        self.task = task
        # None where the negative control has none.
        self.script = task.flipped if label.endswith("-flipped") else task.ground_truth
        self.turn = 0
        self.arrived = [[] for _ in task.turns]
        self.outputs = [[] for _ in task.turns]
        self.world = None
        self.by_checker = "did not end"
        self.complaints = []

    def call(self, name, arguments):
        # A copy: some functions keep what they are given, and change it later.
        self.arrived[self.turn].append(Call(name, copy.deepcopy(arguments)))
        self.world = self.world or self.task.start()
        output = self.world.call(name, arguments)
        self.outputs[self.turn].append(output)
        return output

    def play(self, asked):
        """The next answer: some calls, or words where the turn is done."""
        self.check(asked)
        done = len(asked.outputs)
        calls = self.script[self.turn]
        if done < len(calls):
            # One call in an answer, or two, or three.
            size = 1 + (len(self.task.id) + self.turn + done) % 3
            return [(f"call_{self.turn}_{done + n}", call) for n, call in enumerate(calls[done : done + size])]
        self.turn += 1
        if self.turn == len(self.task.turns):
            # At once, because a world can be large.
            self.by_checker = (self.world or self.task.start()).verdict(self.arrived, self.label)
            self.world = None
        return f"Turn {self.turn} is done."

    def check(self, asked):
        expected = self.task.turns[: self.turn + 1]
        if asked.user != expected:
            self.complain(f"the user said {asked.user}, not {expected}")
        if asked.outputs != self.outputs[self.turn]:
            self.complain(f"the outputs are {asked.outputs}, not {self.outputs[self.turn]}")
        tools = [tool["name"] for tool in self.task.tools(self.turn)]
        if asked.tools != tools:
            self.complain(f"the tools are {asked.tools}, not {tools}")

    def complain(self, what):
        self.complaints.append(f"turn {self.turn}: {what}")

    def verdict(self):
        complaints = list(self.complaints)
        if self.turn != len(self.task.turns):
            complaints.append(f"ended in turn {self.turn} of {len(self.task.turns)}")
        arrived, script = ([[call.as_json() for call in calls] for calls in turns] for turns in (self.arrived, self.script))
        if arrived != script:
            complaints.append(f"other calls arrived: {arrived}, not {script}")
        return {"checker": self.by_checker, "complaints": complaints}


def flip(ground_truth, minds):
    """The ground truth with one argument that is wrong: the last whose change the checker minds; None if there is none."""
    # From the end, because a task often looks first and changes something last.
    for turn, calls in reversed(list(enumerate(ground_truth))):
        for position, call in reversed(list(enumerate(calls))):
            for name, value in call.arguments.items():
                played = [list(calls) for calls in ground_truth]
                played[turn][position] = Call(call.name, call.arguments | {name: other(value)})
                if minds(played):
                    return played
    return None


def other(value):
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case list():
            return value[1:] if value else ["x"]
        case _:
            return {}


class App:
    """The ASGI application."""

    def __init__(self, name, tasks):
        self.tasks = {task.id: task for task in tasks}
        self.passes = {}
        server = Server(name, on_list_tools=self.list_tools, on_call_tool=self.call_tool)
        self.manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)

    def find(self, label, name):
        if (label, name) not in self.passes:
            self.passes[label, name] = Pass(label, self.tasks[name])
        return self.passes[label, name]

    async def list_tools(self, cx, _params):
        found = self.find(*cx.request.path_params["pass"])
        return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in found.task.tools(found.turn)])

    async def call_tool(self, cx, params):
        found = self.find(*cx.request.path_params["pass"])
        text = found.call(params.name, params.arguments or {})
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.lifespan(receive, send)
        match scope["path"].strip("/").split("/"):
            case [label, "tasks"]:
                passes = [self.find(label, name) for name in self.tasks]
                tasks = [{"id": found.task.id, "turns": found.task.turns} for found in passes if found.script]
                await wires.reply(send, tasks)
            case [label, "verdict"]:
                passes = {task: found for (of, task), found in self.passes.items() if of == label and found.script}
                await wires.reply(send, {task: found.verdict() for task, found in passes.items()})
            case [label, name, "mcp"]:
                await self.manager.handle_request(scope | {"path_params": {"pass": (label, name)}}, receive, send)
            case [label, name, "v1", *path] if "/".join(path) in wires.WIRES:
                wire = wires.WIRES["/".join(path)]
                request = json.loads(await wires.body(receive))
                await wire.answer(send, request, self.find(label, name).play(wire.read(request)))
            case _:
                await wires.reply(send, {"error": {"message": f"there is no {scope['path']}"}}, 404)

    async def lifespan(self, receive, send):
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.manager.run())
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def serve(app):
    """Serves on a free port of this machine until standard input ends; prints `LISTENING <url>` when it is ready."""
    # Each task has a connection or two.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    asyncio.run(serve_until_input_ends(app))


async def serve_until_input_ends(app):
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="on"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            return serving.result()
        await asyncio.sleep(0.01)
    print(f"LISTENING http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving
