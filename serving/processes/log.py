"""The log of a process, on stderr: plain lines, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import traceback
from datetime import UTC, datetime
from typing import Literal

__all__ = ["configure_logging"]


def configure_logging(form: Literal["text", "json"]) -> None:
    """Write the log of this process in a form, as `Settings.log_format`."""
    if form == "json":
        # Otherwise MLflow and the warnings module write lines of their own.
        os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
        logging.captureWarnings(True)
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonLines()
        if form == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class _JsonLines(logging.Formatter):
    """One JSON object for each record; `fields` of a record are fields of the object."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info is not None and record.exc_info[0] is not None:
            # The text of an exception may hold a value: only its type, and where it arose.
            line["exception"] = record.exc_info[0].__name__
            places = traceback.extract_tb(record.exc_info[2])[-3:]
            line["places"] = [f"{place.filename}:{place.lineno}" for place in reversed(places)]
        return json.dumps(line)
