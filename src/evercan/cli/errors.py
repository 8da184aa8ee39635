"""What ends a command: one sentence that says what is wrong and what to do."""


class CliError(Exception):
    """Its text is shown as it is; nobody sees a traceback."""
