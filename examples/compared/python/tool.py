import asyncio

from agents import Agent, Runner, function_tool


@function_tool
async def get_weather(city: str, days: int) -> str:
    """Gets the weather in a city.

    Args:
        city: The name of the city
        days: In how many days
    """
    return f"It will be sunny in {city} in {days} days."


async def main():
    agent = Agent(name="Guide", tools=[get_weather])
    answer = await Runner.run(agent, "What will the weather in Oslo be like tomorrow?")
    print(answer.final_output)


asyncio.run(main())
