"""What can go wrong at an API server, as few exception types as callers tell apart."""

from http import HTTPStatus


class ApiError(Exception):
    """Any answer but success. The message says verb, kind and name, and what the server said."""

    def __init__(self, doing: str, said: str) -> None:
        super().__init__(f"{doing}: {said}")
        self.said = said


class NotFound(ApiError):
    """There is no such object (or kind)."""


class Conflict(ApiError):
    """It exists already, or changed since it was read, or is another object than expected."""


class Forbidden(ApiError):
    """RBAC or an admission policy said no."""


class Unauthorized(ApiError):
    """The token is expired or unknown."""


class Gone(ApiError):
    """The resource version is too old to watch from: list again."""


class Invalid(ApiError):
    """The object breaks its schema, has unknown fields or is too large."""


class Unavailable(ApiError):
    """The server was not reached, did not answer in time, or had a fault of its own. Try again."""


BY_STATUS: dict[int, type[ApiError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.GONE: Gone,
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Invalid,
}


def error(status: int, doing: str, said: str) -> ApiError:
    """The exception for an HTTP status; whatever is not known can be tried again."""
    return BY_STATUS.get(status, Unavailable)(doing, f"{status} {said}")
