"""``reviosa doctor``."""

import typer

from workbench.commands.options import Json

__all__ = ["doctor"]


def doctor(json: Json = False) -> None:
    """Say what is installed, what is broken and what to do; exit code 1 if a check fails."""
    from workbench.console import print_json, print_table
    from workbench.doctor import examine

    result = examine()
    if json:
        print_json(result.to_json())
    else:
        rows = [["ok" if check.ok else "FAIL", check.name, check.found] for check in result.checks]
        print_table("What was found", ["", "check", "found"], rows)
        for check in result.checks:
            if check.advice:
                print(f"{check.name}: {check.advice}")
        print("everything needed is here" if result.ok else "something is broken, see above")
    if not result.ok:
        raise typer.Exit(1)
