#!/usr/bin/env python3
"""Stands before rustc for `scripts/test --stage features`: checks the library LIBRARY, a package, with each of its features alone, and then as cargo asks.

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
    # Its examples have its name too.
    if os.environ.get("CARGO_PKG_NAME") != os.environ["LIBRARY"] or "--crate-type lib" not in " ".join(command):
        os.execvp(command[0], command)
    manifest = pathlib.Path(os.environ["CARGO_MANIFEST_PATH"])
    features = tomllib.loads(manifest.read_text())["features"]
    for feature in features:
        check(command, feature, with_implied(feature, features))
    run(command)
    note_read(command, [manifest, pathlib.Path(__file__).resolve()])


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
        print(f"only {feature}", file=sys.stderr)
        run([*arguments, "--emit=metadata", "-D", "warnings"])


def run(command):
    # Open for it is what cargo shares the cores by.
    status = subprocess.run(command, close_fds=False).returncode
    if status != 0:
        sys.exit(status)


def note_read(command, paths):
    """Tells cargo what else was read, or a change of it alone, such as of what a feature turns on, would be no reason to check again."""
    folder = pathlib.Path(command[command.index("--out-dir") + 1])
    suffix = next(word for word in command if word.startswith("extra-filename=")).removeprefix("extra-filename=")
    (list_,) = folder.glob(f"*{suffix}.d")
    rule, rest = list_.read_text().split("\n", 1)
    list_.write_text(" ".join([rule, *(str(path).replace(" ", "\\ ") for path in paths)]) + "\n" + rest)


def names(command):
    """The features that a command of cargo's turns on."""
    return [argument.split('"')[1] for argument in command if argument.startswith('feature="')]


if __name__ == "__main__":
    main()
