import asyncio

from agents import Agent, Runner
from pydantic import BaseModel


class Capital(BaseModel):
    city: str
    country: str


async def main():
    agent = Agent(name="Geographer", output_type=Capital)
    answer = await Runner.run(agent, "The capital of France?")
    capital = answer.final_output
    print(f"{capital.city} is the capital of {capital.country}")


asyncio.run(main())
