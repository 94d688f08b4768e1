import asyncio

from agents import Agent, Runner


async def main():
    billing = Agent(
        name="Billing",
        instructions="Answer questions about invoices.",
        handoff_description="Knows about invoices.",
    )
    triage = Agent(
        name="Triage",
        instructions="Hand off to whoever knows best.",
        handoffs=[billing],
    )
    answer = await Runner.run(triage, "My invoice is too high.")
    print(f"{answer.last_agent.name}: {answer.final_output}")


asyncio.run(main())
