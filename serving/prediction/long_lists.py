"""Lists of a request that are validated in steps, so that a long list of errors is never made.

Pydantic collects every error of a document. A body of the largest size could break rules some
hundred thousand times, and the process would answer no other request meanwhile.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

__all__ = ["in_steps"]


def in_steps(size: int, *, at_most: int) -> WrapValidator:
    """Return a validator of a list that stops after the first step with an error.

    Parameters
    ----------
    size : int
        Number of items that are validated together: all their errors are reported.
    at_most : int
        The longest list allowed; a longer one is reported as such.
    """

    def validate(sent: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(sent, list) or not size < len(sent) <= at_most:
            return handler(sent[: at_most + 1] if isinstance(sent, list) else sent)
        valid: list[Any] = []
        for start in range(0, len(sent), size):
            try:
                valid += handler(sent[start : start + size])
            except ValidationError:
                return handler(sent[: start + size])  # again, for the places of its errors
        return valid

    return WrapValidator(validate)
