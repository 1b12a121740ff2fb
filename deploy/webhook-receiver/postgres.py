"""Roles of a PostgreSQL server as rights: `level` is a role, `principal` a login role, `resource` a name of yours.

It needs `psql` and nothing else. PGHOST, PGUSER and the other variables of libpq say which server. Set it up once:

    CREATE ROLE countersign LOGIN;
    GRANT readers, writers TO countersign WITH ADMIN OPTION;    -- only what may be asked for
    GRANT pg_signal_backend TO countersign;                     -- to end sessions
    CREATE TABLE countersign_orders (name text PRIMARY KEY, memory jsonb NOT NULL);
    ALTER TABLE countersign_orders OWNER TO countersign;

Then, with the roles that may be asked for:

    export WEBHOOK_SECRET=whsec_...
    python3 postgres.py 8080 readers writers
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import ThreadingHTTPServer
from typing import Any

from receiver import Receiver, Refused, System, make_handler

IS_MEMBER = """
SELECT count(*) FROM pg_auth_members AS m
JOIN pg_roles AS role ON role.oid = m.roleid JOIN pg_roles AS person ON person.oid = m.member
WHERE role.rolname = :'role' AND person.rolname = :'person';
"""
REMEMBER = """
INSERT INTO countersign_orders VALUES (:'name', :'memory')
ON CONFLICT (name) DO UPDATE SET memory = excluded.memory;
"""
# A revoke bites at the next statement, but not in a session that did SET ROLE before: so the person's sessions end.
END_SESSIONS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = :'person';"


class Postgres(System):
    """Memberships of roles. The order that was carried out last is remembered in the same transaction."""

    def __init__(self, roles: set[str]) -> None:
        super().__init__()
        self.roles = roles

    def is_held(self, right: str) -> bool:
        """Whether the person is a member of the role."""
        return self.run(IS_MEMBER, right) != "0"

    def recall(self, right: str) -> dict[str, Any]:
        """The last order."""
        found = self.run("SELECT memory FROM countersign_orders WHERE name = :'name';", right)
        return dict(json.loads(found)) if found else {}

    def set(self, right: str, *, held: bool, **memory: Any) -> None:  # noqa: ANN401 - JSON
        """Grant or revoke the role. Revoking what isn't granted is a warning to PostgreSQL, and done to us."""
        change = 'GRANT :"role" TO :"person";' if held else 'REVOKE :"role" FROM :"person";'
        self.run(change + REMEMBER, right, memory=json.dumps(memory))
        if not held:
            self.run(END_SESSIONS, right)

    def run(self, script: str, right: str, **values: str) -> str:
        """Run SQL in one transaction. psql quotes the values, so none of them can be SQL."""
        _, _, role, person = json.loads(right)
        if role not in self.roles:
            raise Refused(f"the role {role} can't be asked for")
        values |= {"role": role, "person": person, "name": right}
        command = ["psql", "-XqAt1", "-v", "ON_ERROR_STOP=1"]
        command += [part for name, value in values.items() for part in ("-v", f"{name}={value}")]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=15, check=False)  # noqa: S603
        if "does not exist" in done.stderr and "role" in done.stderr:
            raise Refused(f"PostgreSQL has no role {person} or {role}")
        if done.returncode:
            # No answer: Countersign looks, and asks again.
            raise RuntimeError(done.stderr)
        return done.stdout.strip()


if __name__ == "__main__":
    handler = make_handler(Receiver(Postgres(set(sys.argv[2:]))), os.environ["WEBHOOK_SECRET"])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
