import asyncio

from agents import Agent, Runner


async def main():
    agent = Agent(name="Guide", instructions="Answer in one sentence.")
    answer = await Runner.run(agent, "What is the capital of France?")
    print(answer.final_output)


asyncio.run(main())
