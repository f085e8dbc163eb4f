"""Errors a user can mend."""


class DarkposeError(ValueError):
    """Something given to darkpose cannot be used; the message says what was expected, what came and how to mend it."""
