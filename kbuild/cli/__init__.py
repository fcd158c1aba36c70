"""The command `kbuild`. Each subcommand is a module of this package; none is imported before it is used."""

from __future__ import annotations

import argparse
import gc
import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType

from kbuild import __version__
from kbuild.errors import KbuildError

COMMANDS = {
    "init": "look into a model file and write a commented recipe for it",
    "check": "everything that can be known without building",
    "build": "build what the recipe asks for",
    "predict": "predictions of the built model",
    "show": "the graph: layers, shapes, types, weights, where each setting comes from",
    "layers": "the Keras layers that are supported",
    "backends": "the backends that are supported, and what each can do",
    "doctor": "which tools are here, what is missing and how to get it",
    "clean": "remove what a build left in OutputDir",
    "cache": "the artifact cache: info, prune, clear",
}
INTERRUPTED = 130
_BUG = "This is an error in kbuild, not in your recipe. With --debug the traceback is shown; please report it."


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point; returns the exit code."""
    if arguments is not None:
        return _run(list(arguments))
    # Modules and graphs live until the process ends: looking for garbage among them takes a tenth of a short build, and
    # as long again when Python shuts down.
    gc.set_threshold(100_000)
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()


def _run(words: Sequence[str]) -> int:
    debug = "--debug" in words
    signal.signal(signal.SIGTERM, _terminated)
    try:
        given = _parse(words)
        return int(_module(given.command).run(given))
    except KeyboardInterrupt:
        print("kbuild: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, e.g. head, has seen enough
        sys.stderr.close()
        return 0
    except KbuildError as error:
        if debug:
            raise
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        print(f"kbuild: {type(error).__name__}: {error}\n{_BUG}", file=sys.stderr)
        return 1


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Only the parser of the command that is named gets its arguments: the other modules are not needed.

    Nor are the other parsers where the command comes first, as it does but in calls for help.
    """
    parser = argparse.ArgumentParser(prog="kbuild", description="From a trained Keras model to verified FPGA hardware.")
    parser.add_argument("--version", action="version", version=f"kbuild {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if word in COMMANDS), None)
    for name, summary in COMMANDS.items():
        if chosen is not None and name != chosen == words[0]:
            continue
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == chosen:
            _module(name).add_arguments(command)
    return parser.parse_args(words)


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"kbuild.cli.{command}")


def _terminated(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a build as an interrupt does: tools that were started are ended, too."""
    raise KeyboardInterrupt
