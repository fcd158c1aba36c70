"""The errors a user can meet. Each carries the exit code of the command; its text is the whole message."""


class KbuildError(Exception):
    """Base of all errors that are reported as one message, without a traceback."""

    exit_code = 1


class StageError(KbuildError):
    """A stage failed: a tool's own error, a budget, a validation, engines that disagree."""

    exit_code = 1


class RecipeError(KbuildError, ValueError):
    """The recipe is wrong. The text holds one line an error, each `file:line:column: key.path: what; remedy`."""

    exit_code = 2


class UnsupportedModel(KbuildError, ValueError):
    """The model file is unreadable or holds something that cannot become hardware; the text says what to do."""

    exit_code = 2


class MissingTool(KbuildError):
    """An external tool that was asked for is not on this machine; the text says where it was looked for."""

    exit_code = 3
