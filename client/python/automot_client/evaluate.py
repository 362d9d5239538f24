"""automot-eval: scores of a served model, from driving, from recordings and from questions."""

from __future__ import annotations

import argparse
import importlib
import sys

# Command to module; each has add_arguments(parser), run(options) and a doc string that is its help.
COMMANDS = {
    "closed-loop": "closed_loop",
    "compare": "compare",
    "open-loop": "open_loop",
    "understanding": "understanding",
    "study": "study",
}


def main(arguments: list[str] | None = None) -> int:
    """Entry point; 2 on bad arguments."""
    parser = argparse.ArgumentParser(prog="automot-eval", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, module in COMMANDS.items():
        modules[name] = importlib.import_module(f"automot_client.evaluation.{module}")
        text = modules[name].__doc__ or ""
        one = commands.add_parser(
            name,
            help=text.strip().splitlines()[0],
            description=text,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        modules[name].add_arguments(one)
    options = parser.parse_args(arguments)
    return int(modules[options.command].run(options))


if __name__ == "__main__":
    sys.exit(main())
