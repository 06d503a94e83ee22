"""Holds the client against a real host: client.py SOCKET DIR."""

import os
import sys
import uuid
from datetime import datetime, timedelta, timezone

import berth

path, root = sys.argv[1:]
runtime = berth.SandboxRuntime(path)


def refused(error, code, call, *args, **kwargs):
    """The call raises error, with its code and a message."""
    try:
        got = call(*args, **kwargs)
    except error as e:
        assert type(e) is error and e.code == code and str(e), repr(e)
        return e
    raise AssertionError(f"{call} returned {got}, want {code}")


# What comes back is what was asked for, in its canonical form.
chat, session = str(uuid.uuid4()), str(uuid.uuid4())
volume = os.path.join(root, "volumes", "one")
os.mkdir(volume)
now = datetime.now(timezone.utc)
asked = dict(session_id=session, agent_id="writer", volume_host_path=volume, created_at=now, expires_at=now + timedelta(seconds=90.5))
first = runtime.create(chat.upper(), **asked)
assert (first.session_id, first.chat_id, first.agent_id, first.status) == (session, chat, "writer", "running"), first
assert first.volume_host_path == os.path.realpath(volume), first
assert first.expires_at - first.created_at == timedelta(seconds=90.5), first
assert first.created_at.tzinfo is not None and abs(first.created_at - now) < timedelta(seconds=60), first
assert first.endpoint.ip and first.endpoint.port, first

# Idempotent on the session id; another request with it is a conflict.
assert runtime.create(chat, **asked) == first
e = refused(berth.Conflict, "conflict", runtime.create, chat, session_id=session, agent_id="another")
assert e.session_id == session and e.chat_id == chat, (e.session_id, e.chat_id)

# Lists come in pages.
others = [runtime.create(str(uuid.uuid4())) for _ in range(4)]
for size in (1, 2, 5, 100):
    active = runtime.list_active(page_size=size)
    assert [s.session_id for s in active] == [first.session_id] + [s.session_id for s in others], active
assert others[0].agent_id is None and others[0].volume_host_path is None, others[0]

# An extension that is made again adds nothing.
longer = runtime.extend(first, timedelta(minutes=1))
assert longer.expires_at - first.expires_at == timedelta(minutes=1), longer
refused(berth.Conflict, "conflict", runtime.extend, first, timedelta(minutes=1))

# Errors.
refused(berth.InvalidArgument, "invalid_argument", runtime.create, "no-uuid")
refused(berth.InvalidArgument, "invalid_argument", runtime.create, chat, ttl=timedelta(days=365))
refused(berth.InvalidArgument, "invalid_argument", runtime.create, chat, volume_host_path="/")
refused(berth.InvalidArgument, "invalid_argument", runtime.create, chat, expires_at=now)
refused(berth.InvalidArgument, "invalid_argument", runtime.list_active, page_size=-1)
refused(berth.NotFound, "not_found", berth.SandboxRuntime(path, template="none").create, chat)
e = refused(berth.SandboxStartFailed, "sandbox_start_failed", berth.SandboxRuntime(path, template="broken").create, chat)
assert e.chat_id == chat and e.session_id, (e.chat_id, e.session_id)
one = berth.SandboxRuntime(path, template="one")
only = one.create(str(uuid.uuid4()))
refused(berth.ResourceExhausted, "resource_exhausted", one.create, str(uuid.uuid4()))
nobody = berth.SandboxRuntime(os.path.join(root, "nobody.sock"), timeout=5)
refused(berth.Unavailable, "unavailable", nobody.list_active)
refused(berth.Unavailable, "unavailable", nobody.create, chat)

# Stop keeps the sandbox, and it is active no more; both ends may be asked for again.
assert runtime.stop(first.session_id) == "stopped"
assert runtime.stop(first.session_id) == "stopped"
assert first.session_id not in [s.session_id for s in runtime.list_active()]
for s in [first, only, *others]:
    assert runtime.delete(s.session_id) == "deleted"
    assert runtime.delete(s.session_id) == "deleted"
unknown = str(uuid.uuid4())
assert runtime.stop(unknown) == "not_found" and runtime.delete(unknown) == "not_found"
assert runtime.list_active() == []
