"""Read the JSON documents of a stored fit, each checked by its schema before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..config import FitConfig, ReadConfig
from ..errors import ParameterError
from .records import JSON
from .stored_json import StoredJSONError, parse_json

SHOWN = 60  # characters of an invalid value


def read_document(text: str, name: str) -> JSON:
    """Parse a document of a stored fit and check what is in it.

    Parameters
    ----------
    text : str
        JSON.
    name : str
        ``config``, ``provenance``, ``summary``, ``model``, or a path that ends in ``architecture``.

    Returns
    -------
    dict
        As stored; nothing is converted or left out.

    Raises
    ------
    StoredJSONError
        That names the first key with an invalid value.
    """
    # the model's own JSON lies in safetensors, written by Python with NaN for losses that are not there
    document = parse_json(text, name, allow_nan=name == "model")
    if name == "config":
        _check_config(document)
        return document
    # u and v each have an architecture below their name
    from .fit_schema import SCHEMAS  # a tenth of a second that only stored fits need

    schema = SCHEMAS[name.rpartition("/")[2]]
    try:
        schema.model_validate(document)
    except ValidationError as error:
        raise StoredJSONError(describe_invalid(error, name)) from None
    return document


def _check_config(document: Mapping[str, Any]) -> None:
    """Check a configuration by the settings' own rules; a session of a cohort has settings of reading alone."""
    try:
        if set(document) == {"read"} and isinstance(document["read"], Mapping):
            ReadConfig.make(**document["read"])
        else:
            FitConfig.from_dict(document)
    except ParameterError as error:
        raise StoredJSONError(f"config: {error.what}") from None
    except TypeError as error:  # names of settings that are no names
        raise StoredJSONError(f"config: {error}") from None


def describe_invalid(error: ValidationError, name: str) -> str:
    """Say in a line what pydantic found first."""
    # the first alone: an invalid key of a union is reported once for every type it might have had
    first = error.errors(include_url=False)[0]
    at = ".".join(str(part) for part in first["loc"])
    value = repr(first["input"])
    value = f"{type(first['input']).__name__} {value[:SHOWN]}{'...' if len(value) > SHOWN else ''}"
    message = str(first["msg"])
    return f"{name}{'.' if at else ''}{at} is invalid: {message[:1].lower()}{message[1:]} ({value})"
