import asyncio

from agents import Agent, Runner, SQLiteSession


async def main():
    agent = Agent(name="Guide")
    alice = SQLiteSession("alice", "conversations.db")
    for question in ["The capital of France?", "And its river?"]:
        answer = await Runner.run(agent, question, session=alice)
        print(answer.final_output)


asyncio.run(main())
