#!/usr/bin/env python3
"""Counts what a turn costs: instructions and allocations of W2, by valgrind, so that a busy machine changes nothing.

    ./setup.sh                        builds the server and the drivers
    ./count.py                        all native drivers that are built
    ./count.py -d ours,ideal
    ./count.py -d ours --max-instructions 87100 --max-allocations 47       fails above

Each driver runs twice, with few and with more runs; the difference is the cost of turns alone, without start and warm-up.
Needs valgrind (Debian: apt install valgrind). Only the Python standard library is used.
"""
import argparse
import re
import subprocess
import sys

import run

SCENARIO, N_TURNS = "tools-10+stream-16", 11
FEW, MORE = 10, 60


def counted(tool, pattern, command, url, n_runs):
    arguments = [*command, url, "chat", "run", "add", "1", str(n_runs), "2"]
    done = subprocess.run(["valgrind", *tool, *arguments], capture_output=True, text=True)
    if done.returncode != 0 or '"errors":0' not in done.stdout:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return [int(number.replace(",", "")) for number in re.search(pattern, done.stderr).groups()]


def per_turn(tool, pattern, command, url):
    few, more = (counted(tool, pattern, command, url, n) for n in (FEW, MORE))
    return [(after - before) / ((MORE - FEW) * N_TURNS) for before, after in zip(few, more)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--drivers")
    parser.add_argument("--driver", action="append", default=[], help="NAME=COMMAND, one more driver")
    parser.add_argument("--max-instructions", type=float)
    parser.add_argument("--max-allocations", type=float)
    options = parser.parse_args()
    for extra in options.driver:
        name, command = extra.split("=", 1)
        run.DRIVERS[name] = ("native", command.split(), ("chat",))
    built = [name for name, driver in run.DRIVERS.items() if driver[0] == "native" and run.built(name)]
    names = options.drivers.split(",") if options.drivers else built
    server, too_much = run.Server(False), []
    try:
        url = f"http://127.0.0.1:{server.port}/{SCENARIO}/v1"
        print(f"{'driver':<14} {'instructions':>13} {'allocations':>12} {'bytes':>8}   for a turn of W2 (chat, run)")
        for name in names:
            command = run.DRIVERS[name][1]
            (instructions,) = per_turn(["--tool=callgrind", "--callgrind-out-file=/dev/null"], r"Collected : (\d+)", command, url)
            allocations, size = per_turn(["--leak-check=no"], r"total heap usage: ([\d,]+) allocs, [\d,]+ frees, ([\d,]+) bytes", command, url)
            print(f"{name:<14} {instructions:>13,.0f} {allocations:>12.1f} {size:>8,.0f}")
            for count, limit, what in ((instructions, options.max_instructions, "instructions"), (allocations, options.max_allocations, "allocations")):
                if limit is not None and count > limit:
                    too_much.append(f"{name}: {count:,.0f} {what} a turn, over {limit:,.0f}")
    finally:
        server.stop()
    if too_much:
        sys.exit("\n".join(too_much))


if __name__ == "__main__":
    main()
