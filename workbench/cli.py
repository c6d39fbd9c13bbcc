"""The command ``reviosa``: names, exit codes and the one line an error gets.

Exit codes: 0 success, 1 a check that failed, 2 bad input, 130 stopped by Ctrl-C. Set
``REVIOSA_DEBUG=1`` to see the traceback of an error.
"""

import os
import sys
from collections.abc import Sequence

import typer

from reviosa.errors import ReviosaError
from workbench.commands.ablate import ablate
from workbench.commands.analysis import correlate, rank, select
from workbench.commands.annotate import annotate
from workbench.commands.capture import capture
from workbench.commands.convert import convert
from workbench.commands.data import synth
from workbench.commands.demo import demo
from workbench.commands.evaluate import evaluate
from workbench.commands.health import doctor
from workbench.commands.lens import lens
from workbench.commands.probe import probe
from workbench.commands.score import score
from workbench.commands.segment import segment
from workbench.commands.show import dashboard, report
from workbench.commands.stats import stats
from workbench.commands.sweep import sweep
from workbench.commands.train import train

__all__ = ["app", "main"]

BAD_INPUT = 2
STOPPED = 130

_COMMANDS = (
    demo,
    doctor,
    synth,
    annotate,
    stats,
    train,
    segment,
    evaluate,
    score,
    capture,
    rank,
    select,
    correlate,
    ablate,
    lens,
    probe,
    sweep,
    report,
    dashboard,
    convert,
)
_RESUME_HINTS = {
    "capture": "the finished part is kept; go on with the same command and --resume",
    "ablate": "the finished part is kept; go on with the same command and --resume",
    "lens": "the finished part is kept; go on with the same command and --resume",
    "probe": "the finished part is kept; go on with the same command and --resume",
    "evaluate": "the finished part is kept; go on with the same command and --resume",
    "annotate": "the finished part is kept; go on with the same command and --resume",
    "train": "the last checkpoint is kept; go on with the same command and --resume",
    "sweep": "what is finished is kept; go on with the same command",
    "demo": "what is finished is kept; go on with the same command",
}
# Nothing here may reach for the network unless the user has said so.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    # Not "offline": transformers then prints a line to stdout, into the middle of our JSON.
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
}

app = typer.Typer(
    name="reviosa",
    help="Train ReVIOSa, record what its role tokens look at, and show it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in _COMMANDS:
    # Given whole, because the default cuts the line at 45 characters.
    _summary = (_command.__doc__ or "").split("\n")[0]
    app.command(_command.__name__, short_help=_summary)(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    for name, value in _OFFLINE.items():
        os.environ.setdefault(name, value)
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(given or ["--help"]))


def _run(arguments: list[str]) -> int:
    try:
        code = app(args=arguments, prog_name="reviosa", standalone_mode=False)
    except KeyboardInterrupt:
        code = STOPPED
    except BrokenPipeError:
        # The reader (head, less) has left. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ReviosaError as error:
        return _explain(str(error))
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _explain(named)
    except Exception as error:
        # Usage errors; their class has lived in click and, in newer versions, inside typer.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        text = message().replace("Value error, ", "").rstrip(".")
        return _explain(f"{text}; see {_usage(error)} --help")
    if code == STOPPED:
        hint = _RESUME_HINTS.get(arguments[0], "give the same command again")
        print(f"stopped; {hint}", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _explain(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    if os.environ.get("REVIOSA_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    return BAD_INPUT


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "reviosa"


if __name__ == "__main__":
    main()
