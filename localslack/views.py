"""Modals and Home tabs: opening, stacking, updating under a hash, and closing.

Invariant: an update with a hash needs the current one. A person has at most three modals open. An external_id belongs
to one view at a time. What somebody entered survives an update that keeps the field.
"""

from __future__ import annotations

import secrets

from localslack import limits
from localslack.block_kit import complete
from localslack.elements import EnteredValues, build_state
from localslack.records import Json, View
from localslack.refusals import SlackRefusal
from localslack.workspace import Workspace


class Views:
    """The views of one workspace. Validate their content with `block_kit.check_view` first."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = workspace.journal.lock

    def open(self, user: str, content: Json) -> View:
        """Open a modal as the only one on the person's screen. Raises SlackRefusal duplicate_external_id."""
        with self._lock:
            view = self._new(user, content)
            self._workspace.show_modals(user, [view])
            return view

    def push(self, user: str, content: Json) -> View:
        """Open a modal on top of the others.

        Raises SlackRefusal not_found if none is open, push_limit_reached or duplicate_external_id.
        """
        with self._lock:
            stack = self._workspace.modals(user)
            if not stack:
                raise SlackRefusal("not_found")
            if len(stack) >= limits.STACKED_MODALS:
                raise SlackRefusal("push_limit_reached")
            view = self._new(user, content, below=stack[-1])
            self._workspace.show_modals(user, [*stack, view])
            return view

    def publish(self, user: str, content: Json, given_hash: str | None) -> View:
        """Publish the person's Home tab. Raises SlackRefusal hash_conflict or duplicate_external_id."""
        with self._lock:
            home = self._workspace.home(user)
            if home is None:
                view = self._new(user, content)
            else:
                _check_hash(home, given_hash)
                view = self._updated(home, content)
            self._workspace.show_home(view)
            return view

    def update(self, view: View, content: Json, given_hash: str | None = None) -> View:
        """Replace the content of a view. Raises SlackRefusal hash_conflict, view_not_found or duplicate_external_id."""
        with self._lock:
            current = self.find(view.id)
            _check_hash(current, given_hash)
            if content["type"] != current.type:
                raise SlackRefusal("invalid_arguments", problems=["view type cannot change [json-pointer:/view/type]"])
            updated = self._updated(current, content)
            self._show(updated)
            return updated

    def find(self, view_id: str | None = None, external_id: str | None = None) -> View:
        """A Home tab or an open modal. Raises SlackRefusal view_not_found."""
        with self._lock:
            for view in self._workspace.all_views():
                if view.id == view_id or (external_id and view.content.get("external_id") == external_id):
                    return view
            raise SlackRefusal("view_not_found")

    def close(self, view: View, *, whole_stack: bool = False) -> list[View]:
        """Close a modal and those above it, or all of them. Returns the closed ones, the top one first."""
        with self._lock:
            stack = self._workspace.modals(view.user)
            ids = [shown.id for shown in stack]
            if view.id not in ids:
                return []
            kept = 0 if whole_stack else ids.index(view.id)
            self._workspace.show_modals(view.user, stack[:kept])
            return list(reversed(stack[kept:]))

    def enter(self, view: View, typed: EnteredValues, blocks: list[Json] | None = None) -> View:
        """Enter values. Returns the view with them. Raises NotOnScreen, or SlackRefusal view_not_found.

        `blocks` are the view's, with the options that were offered in its menus.
        """
        with self._lock:
            current = self.find(view.id)
            # People fill in what they see, even if it has been replaced in the meantime.
            values = build_state(blocks or view.blocks, current.values, typed)
            if current.hash == view.hash:
                current = current.model_copy(update={"values": values})
                self._show(current)
            return view.model_copy(update={"values": values})

    def _show(self, view: View) -> None:
        if view.type == "home":
            self._workspace.show_home(view)
        else:
            stack = self._workspace.modals(view.user)
            self._workspace.show_modals(view.user, [view if shown.id == view.id else shown for shown in stack])

    def _new(self, user: str, content: Json, below: View | None = None) -> View:
        view_id = self._workspace.new_id("V")
        self._check_external_id(content, view_id)
        content = {**content, "blocks": complete(content["blocks"], lambda: self._workspace.new_id("b"))}
        return View(
            id=view_id,
            user=user,
            content=content,
            hash=self._new_hash(),
            values=build_state(content["blocks"], {}, {}),
            root_view_id=below.root_view_id if below else view_id,
            previous_view_id=below.id if below else None,
        )

    def _updated(self, view: View, content: Json) -> View:
        self._check_external_id(content, view.id)
        content = {**content, "blocks": complete(content["blocks"], lambda: self._workspace.new_id("b"))}
        values = build_state(content["blocks"], view.values, {})
        return view.model_copy(update={"content": content, "hash": self._new_hash(), "values": values})

    def _check_external_id(self, content: Json, view_id: str) -> None:
        external_id = content.get("external_id")
        for view in self._workspace.all_views() if external_id else ():
            if view.id != view_id and view.content.get("external_id") == external_id:
                raise SlackRefusal("duplicate_external_id")

    def _new_hash(self) -> str:
        return f"{int(self._workspace.journal.clock.now().timestamp())}.{secrets.token_hex(4)}"


def _check_hash(view: View, given_hash: str | None) -> None:
    if given_hash is not None and given_hash != view.hash:
        raise SlackRefusal("hash_conflict")
