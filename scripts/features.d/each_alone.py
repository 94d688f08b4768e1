#!/usr/bin/env python3
"""Stands before rustc for `scripts/test --stage features`: checks the library with each of its features alone, and then as cargo asks.

cargo is asked to check it with all of its features and has compiled what it depends on for these, which does for fewer. It would compile half of that anew for each
feature. So what a feature must ask of a dependency is not seen here, but by `scripts/test --stage features-alone`.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib


def main():
    command = sys.argv[1:]
    if "--crate-name openai_agents " in " ".join(command):
        manifest = tomllib.loads(pathlib.Path(os.environ["CARGO_MANIFEST_PATH"]).read_text())
        for feature in manifest["features"]:
            check(command, feature, with_implied(feature, manifest["features"]))
    os.execvp(command[0], command)


def with_implied(feature, features):
    """A feature and all those that it turns on."""
    found = set()
    rest = [feature]
    while rest:
        name = rest.pop()
        # The others are dependencies and features of these.
        if name in features and name not in found:
            found.add(name)
            rest += features[name]
    return found


def check(command, feature, features):
    unwanted = {f'feature="{name}"' for name in names(command)} - {f'feature="{name}"' for name in features}
    arguments = []
    for argument in command:
        if argument in unwanted:
            # The `--cfg` before it.
            arguments.pop()
        elif not argument.startswith(("--error-format", "--json", "--emit", "--diagnostic-width")):
            arguments.append(argument)
    with tempfile.TemporaryDirectory() as folder:
        arguments[arguments.index("--out-dir") + 1] = folder
        # What cargo lets it take part in with other compilers is open for it.
        result = subprocess.run([*arguments, "--emit=metadata", "-D", "warnings"], close_fds=False)
    print(f"only {feature}: {'ok' if result.returncode == 0 else 'failed'}", file=sys.stderr)
    if result.returncode != 0:
        sys.exit(result.returncode)


def names(command):
    """The features that a command of cargo's turns on."""
    return [argument.split('"')[1] for argument in command if argument.startswith('feature="')]


if __name__ == "__main__":
    main()
