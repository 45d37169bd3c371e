"""What every server of ours takes from a client, and the words in which it says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from stylex.core.errors import StylexError
from stylex.core.untrusted import parse_json


async def json_body(request: Request) -> Mapping[str, Any]:
    """The JSON object that a client sends.

    Raises:
        HTTPException: it sends something else.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "send JSON, as application/json")
    try:
        body = parse_json(await request.body())
    except ValueError:
        raise HTTPException(400, "this is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "expected a JSON object")
    return body


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail[:1].upper() + error.detail[1:]
    return JSONResponse({"error": f"{detail}."}, status_code=error.status_code, headers=error.headers)


def _user_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=422)


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def _fault(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "stylex made a mistake; the terminal says more."}, status_code=500)


HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Response]] = {
    HTTPException: _http_error,
    StylexError: _user_error,
    ClientDisconnect: _gone,
    Exception: _fault,
}
"""Answers to what goes wrong."""
