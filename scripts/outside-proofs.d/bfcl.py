"""The 800 multi-turn tasks of BFCL v4 (Apache-2.0, PyPI `bfcl-eval`): its tasks, its functions, its checker. See proof.py.

Held to more than that checker asks for: the objects that the calls acted on end in the state of the ground truth.
"""

import ast
import copy
import importlib
import inspect
import itertools
import json
from functools import cached_property
from pathlib import Path

import bfcl_eval
from bfcl_eval.constants.default_prompts import DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC
from bfcl_eval.constants.executable_backend_config import (
    CLASS_FILE_PATH_MAPPING,
    MULTI_TURN_FUNC_DOC_FILE_MAPPING,
    STATELESS_CLASSES,
)
from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import (
    multi_turn_checker,
    multi_turn_irrelevance_checker,
    state_checker,
)
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils import execute_multi_turn_func_call

import proof
from proof import Call

DATA = Path(bfcl_eval.__file__).parent / "data"
CATEGORIES = ["base", "long_context", "miss_func", "miss_param"]
# The checker keeps its objects by name: each replay has one of its own.
REPLAYS = itertools.count()


class Task:
    def __init__(self, entry):
        self.entry = entry
        self.id = entry["id"]
        signatures = {}
        for class_name in entry["involved_classes"]:
            for name, method in inspect.getmembers(class_of(class_name), predicate=inspect.isfunction):
                if not name.startswith("_"):
                    signatures[name] = list(inspect.signature(method).parameters)[1:]
        self.ground_truth = [[parse(call, signatures) for call in calls] for calls in entry["ground_truth"]]
        self.turns = [
            "\n".join(message["content"] for message in messages) or DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC
            for messages in entry["question"]
        ]

    @cached_property
    def flipped(self):
        return proof.flip(self.ground_truth, lambda played: verdict(self, played, f"flip-{next(REPLAYS)}"))

    def tools(self, turn):
        """The functions that the agent has in a turn: some come later, as the task says."""
        # A ground truth that calls one earlier than the task says (miss_func_49) has it from there on.
        used = {call.name for calls in self.ground_truth[: turn + 1] for call in calls}
        held_back = {
            name
            for first_turn, names in self.entry.get("missed_function", {}).items()
            if turn < int(first_turn)
            for name in names
            if name not in used
        }
        absent = held_back | set(self.entry.get("excluded_function", []))
        return [
            tool for class_name in self.entry["involved_classes"] for tool in FUNCTIONS[class_name] if tool["name"] not in absent
        ]

    def start(self):
        return World(self)


class World:
    """The objects that the calls of a task act on."""

    def __init__(self, task):
        self.task = task
        self.instances = {}
        for name in task.entry["involved_classes"]:
            self.instances[name] = class_of(name)()
            if name not in STATELESS_CLASSES:
                scenario = copy.deepcopy(task.entry["initial_config"].get(name, {}))
                self.instances[name]._load_scenario(scenario, long_context="long_context" in task.id)

    def call(self, name, arguments):
        """Calls a function as BFCL does, and gives the text that a model would see."""
        try:
            (method,) = [getattr(object, name) for object in self.instances.values() if name in vars(type(object))]
            result = method(**arguments)
            return result if isinstance(result, str) else json.dumps(result) if isinstance(result, dict) else str(result)
        except Exception as error:  # as BFCL: what a function raises is an answer
            return f"Error during execution: {error}"

    def verdict(self, arrived, label):
        """What BFCL's checker minds, or ""."""
        found = verdict(self.task, arrived, label)
        if found:
            return found
        # What the checker left of the ground truth, beside what the calls themselves acted on.
        entry = self.task.entry
        _, truth = execute_multi_turn_func_call(
            [], entry["initial_config"], entry["involved_classes"], f"{label}_ground_truth", entry["id"], is_evaL_run=True
        )
        return state_checker(self.instances, truth).get("error_type", "")


def verdict(task, turns, label):
    steps = [[[call.as_python()] for call in calls] for calls in turns]
    truth = task.entry["ground_truth"]
    for result in (
        multi_turn_checker(steps, truth, task.entry, task.id.rsplit("_", 1)[0], label),
        multi_turn_irrelevance_checker(steps, truth),
    ):
        if not result["valid"]:
            return result["error_type"]
    return ""


def class_of(name):
    return getattr(importlib.import_module(CLASS_FILE_PATH_MAPPING[name]), name)


def parse(call, signatures):
    """A call of a ground truth, which is written as Python."""
    tree = ast.parse(call, mode="eval").body
    arguments = {signatures[tree.func.id][index]: ast.literal_eval(value) for index, value in enumerate(tree.args)}
    arguments |= {keyword.arg: ast.literal_eval(keyword.value) for keyword in tree.keywords}
    return Call(tree.func.id, arguments)


def load():
    for category in CATEGORIES:
        name = f"BFCL_v4_multi_turn_{category}.json"
        truths = {truth["id"]: truth["ground_truth"] for truth in read_lines(DATA / "possible_answer" / name)}
        for entry in read_lines(DATA / name):
            yield Task(entry | {"ground_truth": truths[entry["id"]]})


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def functions():
    """The functions of each class, as tools."""
    return {
        class_name: [
            {"name": doc["name"], "description": doc["description"], "inputSchema": json_schema(doc["parameters"])}
            for doc in read_lines(DATA / "multi_turn_func_doc" / file)
        ]
        for class_name, file in MULTI_TURN_FUNC_DOC_FILE_MAPPING.items()
    }


def json_schema(schema):
    """A schema of BFCL's, whose types have names of its own, as JSON Schema."""
    result = dict(schema)
    if isinstance(result.get("type"), str):
        result["type"] = GORILLA_TO_OPENAPI[result["type"]]
    if "properties" in result:
        result["properties"] = {name: json_schema(value) for name, value in result["properties"].items()}
    if "items" in result:
        result["items"] = json_schema(result["items"])
    return result


FUNCTIONS = functions()

if __name__ == "__main__":
    proof.serve(proof.App("bfcl", load()))
