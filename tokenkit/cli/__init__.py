"""The command line: thin calls into the package, one file a noun.

Exit codes: 0 done, whatever was found; 2 something given cannot be used; 3 another run works in the workspace; 4 the
report could not be made, and the last good one stands; 5 an action at a gateway failed or could not be verified; 6 the
report needs attention, where ``--fail-on attention`` asks for that.
"""

import io
import sys
from importlib import import_module

import typer
from rich.console import Console

from tokenkit.errors import TokenkitError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Learn what each API token normally does, and say so when it stops being itself.",
    epilog="Start here: tokenkit demo. Exit codes: 0 done, 2 input, 3 locked, 4 report failed, 5 action failed, "
    "6 needs attention (--fail-on).",
)
COMMANDS = (
    "about", "bench", "export", "labels", "lake", "notebook", "pipeline", "respond", "sources", "tune", "workspace",
)  # fmt: skip
errors = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; what tokenkit says on purpose is one clear message and an exit code, never a traceback."""
    for noun in COMMANDS:
        import_module(f"tokenkit.cli.{noun}")

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be UTF-8
    try:
        app()
    except TokenkitError as error:
        from tokenkit.sources.fields.masking import without_secrets

        # it names files and values of a list, one of which may be a secret in the wrong place
        errors.print(f"error: {without_secrets(str(error))}", style="red" if errors.is_terminal else None)
        sys.exit(error.exit_code)
