"""`semcache`: the entry point. Says what to install if the command line's own libraries are missing."""

from __future__ import annotations

import sys

CONFIGURATION_ERROR_EXIT = 2


def main() -> None:
    """Run the command line; exits with 2 on whatever the user can mend."""
    try:
        from semcache_integrations.cli.app import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("click", "rich"):
            raise
        print(  # noqa: T201 - there is no click to print with
            f"semcache needs {missing}: pip install 'semcache-integrations[cli]'", file=sys.stderr
        )
        raise SystemExit(CONFIGURATION_ERROR_EXIT) from None
    app(prog_name="semcache")
