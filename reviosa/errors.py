"""Errors a user can cause and mend.

Every message says what was got, what was expected and what to do next. The command line prints it
as one line and exits with code 2; library callers catch :class:`ReviosaError` or a subclass.
"""


class ReviosaError(ValueError):
    """Base of all errors caused by input: a file, an option, a configuration."""


class DataError(ReviosaError):
    """A data set, frame, mask or prediction file is not what its layout promises."""


class ConfigError(ReviosaError):
    """A configuration holds an unknown key or a value that cannot work."""


class CheckpointError(ReviosaError):
    """A checkpoint is missing, damaged or of another shape."""


class RunError(ReviosaError):
    """A run directory is missing, in use, or of another kind."""


class RunInUseError(RunError):
    """Another process holds the run directory; later it may be free."""


def first_line(error: BaseException) -> str:
    """What another library's error says, in one line; its name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
