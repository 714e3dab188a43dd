"""The description of the server's interface: OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opsin import __version__
from opsin.apps.serve.limits import Limits

ERRORS = {
    "400": "The request or its form is broken.",
    "401": "The token is missing or wrong.",
    "404": "There is no such model.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large, or has too many images.",
    "415": "The body is of another type than images and forms.",
    "422": "The image cannot be read; the error says why.",
    "503": "The server has too much to do; try again after the time in Retry-After.",
}
IMAGE = {"schema": {"type": "string", "format": "binary"}}


def describe(models: Iterable[str], limits: Limits, has_token: bool) -> dict[str, Any]:
    """Return the description as data for JSON."""
    security: dict[str, Any] = {"security": [{"token": []}]} if has_token else {}
    names = list(models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Opsin", "version": __version__, "description": _text(limits)},
        "paths": {
            "/v1/predict": {"post": _predict("Ask the first model about images.", [], security)},
            "/v1/models/{model}/predict": {
                "post": _predict("Ask a model about images.", [_model_parameter(names)], security)
            },
            "/v1/models": {"get": _get("List the models, their labels and images.", "application/json", security)},
            "/health": {"get": _get("Say that the server answers.", "application/json", {})},
            "/metrics": {"get": _get("Return counters for Prometheus.", "text/plain", security)},
        },
        "components": {
            "schemas": {"Answers": ANSWERS, "Error": ERROR},
            **({"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if has_token else {}),
        },
    }


ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}

ANSWERS = {
    "type": "object",
    "required": ["model", "task", "results"],
    "properties": {
        "model": {"type": "string"},
        "task": {"type": "string"},
        "results": {
            "type": "array",
            "description": "An entry for each image, in the order of the request.",
            "items": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "description": "The name of the file in the form, or 'image'."},
                    "error": {"type": "string", "description": "Why this image of several has no answer."},
                    "label": {"type": "string", "description": "The most likely label, of a classifier."},
                    "probability": {"type": "number", "description": "The probability of the label."},
                    "known": {"type": "boolean", "description": "False: the model does not know."},
                    "ranked": {"type": "array", "items": {"type": "object"}, "description": "The likeliest labels."},
                },
                "additionalProperties": True,
            },
        },
    },
}
"""The answer; models of other tasks have other fields, which are those of `opsin predict --json`."""


def _text(limits: Limits) -> str:
    size = f"{limits.body_bytes / 10**6:g} MB"
    return f"Image recognition. A body has at most {size}, and an image at most {limits.pixels:,} pixels."


def _predict(summary: str, parameters: list[dict[str, Any]], security: dict[str, Any]) -> dict[str, Any]:
    top = {
        "name": "top", "in": "query", "schema": {"type": "integer", "minimum": 1},
        "description": "The number of labels, or of objects, for each image.",
    }  # fmt: skip
    form = {"type": "object", "properties": {"image": {"type": "array", "items": IMAGE["schema"]}}}
    responses = {"200": _content("The answers.", "application/json", "Answers")}
    responses |= {status: _content(text, "application/json", "Error") for status, text in ERRORS.items()}
    return {
        "summary": summary,
        "parameters": [*parameters, top],
        "requestBody": {
            "required": True,
            "content": {"image/*": IMAGE, "application/octet-stream": IMAGE, "multipart/form-data": {"schema": form}},
        },
        "responses": responses,
        **security,
    }


def _get(summary: str, kind: str, security: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "Done.", "content": {kind: {}}}}, **security}


def _content(text: str, kind: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _model_parameter(names: list[str]) -> dict[str, Any]:
    return {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": names}}
