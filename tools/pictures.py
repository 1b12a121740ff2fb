"""`make pictures`: makes docs/images/ and the story in docs/playground.md anew, from a running playground.

Invariant: nothing on a picture is drawn: every request is made, approved, refused and recorded by the real bot. No
picture is larger than MAX_BYTES.
"""

from __future__ import annotations

import base64
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Locator, Page, ViewportSize, sync_playwright

from playground.folder import Folder
from playground.playground import Playground, open_playground
from tools.picture_scenes import Scenes
from tools.story_text import write_story

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
MAX_BYTES: Final = 150_000
_SIZE: Final = ViewportSize(width=1440, height=860)
_SHARPNESS: Final = 2
_QUALITIES: Final = (0.9, 0.8, 0.7, 0.55, 0.4)
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_TO_WEBP: Final = """async ([png, quality]) => {
    const picture = new Image();
    picture.src = `data:image/png;base64,${png}`;
    await picture.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""

_LEAVE: Final = "() => document.activeElement?.closest('[role=dialog]') || document.activeElement?.blur()"
"""What was just pressed isn't what a picture is about. In a form, the focus shows where to write."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Takes each picture in light and dark."""

    page: Page
    darkroom: Page
    """An empty page, where pictures are made smaller."""

    def shoot(self, name: str, what: Locator | None = None) -> None:
        """Write `name`-light.webp and `name`-dark.webp: of this part of the page, or of the whole window."""
        self.page.mouse.move(0, 0)
        self.page.evaluate(_LEAVE)
        for scheme in _SCHEMES:
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if what is not None:
                what.scroll_into_view_if_needed()
            png = what.screenshot() if what is not None else self.page.screenshot()
            (IMAGES / f"{name}-{scheme}.webp").write_bytes(self._shrink(png))

    def _shrink(self, png: bytes) -> bytes:
        encoded = base64.b64encode(png).decode()
        for quality in _QUALITIES:
            small = base64.b64decode(self.darkroom.evaluate(_TO_WEBP, [encoded, quality]))
            if len(small) <= MAX_BYTES:
                return small
        raise ValueError(f"a picture is larger than {MAX_BYTES} bytes in any quality")


def main() -> None:
    """Make all pictures, and the story. Needs Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with (
            tempfile.TemporaryDirectory() as folder,
            Folder(Path(folder) / "playground") as home,
            open_playground(home, port=0, has_history=True) as playground,
        ):
            Scenes(playground, _open_camera(browser, playground)).play()
        browser.close()
    write_story()


def _open_camera(browser: Browser, playground: Playground) -> Camera:
    context = browser.new_context(viewport=_SIZE, device_scale_factor=_SHARPNESS, locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    page.goto(playground.url)
    return Camera(page, context.new_page())


if __name__ == "__main__":
    main()
