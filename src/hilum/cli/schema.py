"""`hilum schema [-o FILE]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("-o", "--output", type=Path, help="write into this file instead of the terminal")
    parser.add_argument(
        "--plugin", type=Path, action="append", default=[], help="a file of your own components, to be included"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print or write the JSON Schema."""
    import json

    from hilum.experiment import Experiment
    from hilum.registry import load_plugin
    from hilum.run import write_text

    for plugin in arguments.plugin:
        load_plugin(plugin)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Experiment.model_json_schema()}
    text = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    if arguments.output is None:
        print(text, end="")
    else:
        write_text(arguments.output, text)
    return 0
