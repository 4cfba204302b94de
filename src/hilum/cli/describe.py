"""`hilum describe CONFIG_OR_NETWORK [--size 224x224] [--channels N] [--classes N] [--json] [key=value ...]`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("target", metavar="CONFIG_OR_NETWORK", help="a YAML file, or a network such as resnet")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings: of the network, such as depth=50, or in place of the file's, such as network.depth=50",
    )
    parser.add_argument(
        "--size", help="of the image, such as 224x224 or 96x96x64; by default what the file says, or 224x224"
    )
    parser.add_argument("--channels", type=int, help="of the image; by default those of the data, or 1")
    parser.add_argument("--classes", type=int, help="of a network that is named; by default 2")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    import json

    from hilum.pipeline.describing import DescribeOptions, describe

    options = DescribeOptions(_lengths(arguments.size), arguments.channels, arguments.classes)
    found = describe(arguments.target, arguments.overrides, options=options)
    print(json.dumps(found.as_data(), indent=1) if arguments.json else found.table())
    return 0


def _lengths(text: str | None) -> tuple[int, ...] | None:
    from hilum.errors import ConfigError

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.replace(",", "x").split("x"))
    except ValueError:
        raise ConfigError(f"--size: received '{text}', expected two or three lengths, such as 224x224") from None
