"""A client of Berth's API, with nothing but Python's standard library (3.9 or newer).

SandboxRuntime does what an in-process Docker adapter of an agent platform does, in its
words: create, stop, delete, list_active. It asks a Berth host, over its unix socket.

    runtime = SandboxRuntime("/var/lib/berth/berth.sock", template="default")
    sandbox = runtime.create(chat_id, ttl=timedelta(minutes=5), agent_id="writer")
    urlopen(f"http://{sandbox.endpoint.ip}:{sandbox.endpoint.port}/")
    runtime.delete(sandbox.session_id)

What differs from an adapter in the process: the host keeps the deadline, so there is no
sweep to run; it makes the chat's directory and puts the mounts and the environment of the
template; and a sandbox is named by its session, not by its container. A client is safe
for use by several threads: each call has a connection of its own.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import sys
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Iterator, Optional

DEFAULT_SOCKET = "/var/lib/berth/berth.sock"


class BerthError(Exception):
    """A call failed. code is stable; the message is for people."""

    code = "internal"

    def __init__(self, message: str, code: str = "", chat_id: str = "", session_id: str = "") -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.chat_id = chat_id
        self.session_id = session_id


class SandboxStartFailed(BerthError):
    """The sandbox could not be started; nothing of it is left."""

    code = "sandbox_start_failed"


class SandboxStopFailed(BerthError):
    """The sandbox could not be stopped or removed; the host goes on trying."""

    code = "sandbox_stop_failed"


class SandboxListFailed(BerthError):
    """The sandboxes can't be listed. It never means that there are none."""

    code = "sandbox_list_failed"


class NotFound(BerthError):
    """There is no such session or template."""

    code = "not_found"


class Conflict(BerthError):
    """The session is another one than was asked for, or in a state that forbids it."""

    code = "conflict"


class ResourceExhausted(BerthError):
    """A limit is reached; the message names it."""

    code = "resource_exhausted"


class Unavailable(BerthError):
    """The host, or what it runs sandboxes on, is away. A stop or delete is kept and done later."""

    code = "unavailable"


class InvalidArgument(BerthError):
    """The request is wrong; the message names the field."""

    code = "invalid_argument"


class Unsupported(BerthError):
    """The provider can't do this."""

    code = "unsupported"


_ERRORS = {
    e.code: e
    for e in (
        SandboxStartFailed, SandboxStopFailed, SandboxListFailed, NotFound, Conflict,
        ResourceExhausted, Unavailable, InvalidArgument, Unsupported,
    )
}

# Where an answer has no detail of the host: the codes of the protocol.
_PROTOCOL = {"failed_precondition": "conflict", "unimplemented": "unsupported", "deadline_exceeded": "unavailable"}


@dataclass(frozen=True)
class Endpoint:
    """Where the agent's service answers."""

    ip: str
    port: int


@dataclass(frozen=True)
class Sandbox:
    """One chat's sandbox, as it was when the host answered."""

    session_id: str
    chat_id: str
    sandbox_id: str
    status: str
    created_at: Optional[datetime]
    expires_at: Optional[datetime]
    agent_id: Optional[str]
    volume_host_path: Optional[str]
    endpoint: Optional[Endpoint]


class SandboxRuntime:
    """The sandboxes of one template of a host."""

    def __init__(self, socket_path: str = DEFAULT_SOCKET, template: str = "default", timeout: float = 180.0) -> None:
        """timeout, in seconds, is how long a call may take: longer than create_timeout."""
        self._socket_path = socket_path
        self._template = template
        self._timeout = timeout

    def create(
        self,
        chat_id: str,
        session_id: str = "",
        agent_id: Optional[str] = None,
        volume_host_path: Optional[str] = None,
        created_at: Optional[datetime] = None,
        expires_at: Optional[datetime] = None,
        ttl: Optional[timedelta] = None,
    ) -> Sandbox:
        """Make a sandbox and return it when its agent answers.

        With a session_id the call can be made again when its answer was lost: the same
        request gets the same sandbox. The lifetime is ttl, or expires_at less created_at,
        or the template's; the host counts it from when the image is there, and the
        sandbox's own expires_at is what holds.

        Raises SandboxStartFailed, Conflict, InvalidArgument, NotFound (template),
        ResourceExhausted, Unavailable; after each of them nothing is left.
        """
        if ttl is None and expires_at is not None:
            if created_at is None:
                raise InvalidArgument("create: expires_at needs created_at beside it; or give ttl", chat_id=chat_id)
            ttl = expires_at - created_at
        answer = self._call(
            "CreateSession",
            {
                "template": self._template,
                "chat_id": chat_id,
                "session_id": session_id,
                "agent_id": agent_id or "",
                "volume": volume_host_path or "",
                "ttl": "" if ttl is None else f"{ttl // timedelta(microseconds=1)}us",
            },
        )
        return _sandbox(answer["session"])

    def stop(self, session_id: str) -> str:
        """Stop the sandbox and return "stopped", or "not_found" when there is none. What
        it has written stays until delete, or until its deadline. Raises
        SandboxStopFailed, Unavailable."""
        try:
            self._call("StopSession", {"session_id": session_id})
        except NotFound:
            return "not_found"
        return "stopped"

    def delete(self, session_id: str) -> str:
        """Remove the sandbox by force and return "deleted", or "not_found" when there is
        none. Raises SandboxStopFailed, Unavailable."""
        try:
            self._call("DeleteSession", {"session_id": session_id})
        except NotFound:
            return "not_found"
        return "deleted"

    def extend(self, sandbox: Sandbox, by: timedelta) -> Sandbox:
        """Push the deadline later while the chat goes on. Made again with the same
        sandbox it adds nothing: then Conflict. Raises Conflict, InvalidArgument (beyond
        max_ttl or max_lifetime), NotFound, Unavailable."""
        request: dict[str, Any] = {"session_id": sandbox.session_id, "by": f"{by // timedelta(microseconds=1)}us"}
        if sandbox.expires_at is not None:
            request["seen_expires_at"] = sandbox.expires_at.isoformat()
        return _sandbox(self._call("ExtendSession", request)["session"])

    def list_active(self, page_size: int = 100) -> list[Sandbox]:
        """All running sandboxes of the host, oldest first. A host that can't be asked is
        an error, never an empty list. Raises Unavailable."""
        return [_sandbox(s) for s in self._pages({"status": "running", "page_size": page_size})]

    def _pages(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            answer = self._call("ListSessions", {**request, "page_token": token})
            yield from answer["sessions"]
            token = answer["next_page_token"]
            if not token:
                return

    def _call(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        connection = _UnixConnection(self._socket_path, self._timeout)
        try:
            connection.request(
                "POST",
                f"/berth.control.v1.SessionService/{method}",
                body=json.dumps(request).encode(),
                headers={"Content-Type": "application/json", "Connect-Protocol-Version": "1"},
            )
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as cause:
            raise Unavailable(
                f"{method}: the host at {self._socket_path} can't be asked: {cause}",
                chat_id=request.get("chat_id", ""),
                session_id=request.get("session_id", ""),
            ) from cause
        finally:
            connection.close()
        if response.status != 200:
            raise _error(method, response.status, body, request)
        return json.loads(body)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("berth", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _sandbox(s: dict[str, Any]) -> Sandbox:
    endpoint = s["endpoint"]
    return Sandbox(
        session_id=s["session_id"],
        chat_id=s["chat_id"],
        sandbox_id=s["sandbox_id"],
        status=s["status"],
        created_at=_time(s["created_at"]),
        expires_at=_time(s["expires_at"]),
        agent_id=s["agent_id"] or None,
        volume_host_path=s["volume_host_path"] or None,
        endpoint=Endpoint(endpoint["ip"], endpoint["port"]) if endpoint else None,
    )


def _time(text: Optional[str]) -> Optional[datetime]:
    """RFC 3339 in UTC, with a fraction of 0, 3, 6 or 9 digits; the host keeps 6."""
    if text is None:
        return None
    text = text.rstrip("Z")
    if len(text) > len("2026-04-02T12:05:00.123456"):
        text = text[: len("2026-04-02T12:05:00.123456")]
    return datetime.fromisoformat(text + "+00:00")


def _error(method: str, status: int, body: bytes, request: dict[str, Any]) -> BerthError:
    try:
        answer = json.loads(body)
    except ValueError:  # not of the API: a wrong path, or another server
        text = body.decode(errors="replace").strip()
        return BerthError(f"{method}: HTTP {status}: {text[:500]}")
    code = answer.get("code", "internal")
    detail = {1: _PROTOCOL.get(code, code), 2: request.get("chat_id", ""), 3: request.get("session_id", "")}
    for d in answer.get("details", []):
        if d.get("type") == "berth.control.v1.Error":
            detail.update(_strings(_base64(d["value"])))
    return _ERRORS.get(detail[1], BerthError)(
        answer.get("message", ""), code=detail[1], chat_id=detail[2], session_id=detail[3]
    )


def _base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def _strings(message: bytes) -> dict[int, str]:
    """The strings 1 to 3 of a protobuf message whose fields are all of type "length, bytes":
    that is Error. Field 4, the session, is passed over."""
    found: dict[int, str] = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(message):
        tag = number()
        if tag & 7 != 2:  # added later, of another type: what is known comes before it
            break
        size = number()
        if tag >> 3 in (1, 2, 3):
            found[tag >> 3] = message[at : at + size].decode()
        at += size
    return found


def main() -> int:
    """Walk a sandbox from create to delete: berth.py [SOCKET [TEMPLATE]]."""
    path = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BERTH_SOCKET", DEFAULT_SOCKET)
    runtime = SandboxRuntime(path, *sys.argv[2:3])
    try:
        sandbox = runtime.create(str(uuid.uuid4()), agent_id="python", ttl=timedelta(minutes=2))
        print(f"created {sandbox.session_id} on {sandbox.sandbox_id}, until {sandbox.expires_at}")
        try:
            if sandbox.endpoint:
                url = f"http://{sandbox.endpoint.ip}:{sandbox.endpoint.port}/"
                with urllib.request.urlopen(url, timeout=10) as response:
                    print(f"{url} answers {response.status}: {response.read(200).decode(errors='replace').strip()}")
            sandbox = runtime.extend(sandbox, timedelta(minutes=1))
            print(f"extended until {sandbox.expires_at}")
            active = [s.session_id for s in runtime.list_active()]
            print(f"{len(active)} active, ours {'is' if sandbox.session_id in active else 'is not'} among them")
            print(f"stop: {runtime.stop(sandbox.session_id)}")
        finally:
            print(f"delete: {runtime.delete(sandbox.session_id)}")
    except BerthError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
