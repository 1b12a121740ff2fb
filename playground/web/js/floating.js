// Floating surfaces beside an anchor: menus, lists of choices, small panels.

import { html, useLayoutEffect, useRef } from "../vendor/htm-preact-3.1.1.js";

const GAP = 6;

function place(box, anchor, { align, isWide }) {
  const at = anchor.getBoundingClientRect();
  if (isWide) box.style.minWidth = `${at.width}px`;
  box.style.maxHeight = "";
  const size = box.getBoundingClientRect();
  const below = innerHeight - at.bottom - 2 * GAP;
  const above = at.top - 2 * GAP;
  const isBelow = below >= Math.min(size.height, 260) || below >= above;
  box.style.maxHeight = `${Math.max(120, isBelow ? below : above)}px`;
  const height = Math.min(size.height, isBelow ? below : above);
  const left = align === "end" ? at.right - size.width : at.left;
  box.style.left = `${Math.max(GAP, Math.min(left, innerWidth - size.width - GAP))}px`;
  box.style.top = `${isBelow ? at.bottom + GAP : Math.max(GAP, at.top - GAP - height)}px`;
}

/** Shows its children above everything, at `anchor` (a ref). Calls `onLeave` on a press anywhere else. */
export function Floating({ anchor, onLeave, align = "start", isWide = false, class: name = "", children, ...rest }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    const [shown, from] = [box.current, anchor.current];
    shown.showPopover?.();
    const move = () => from.isConnected && place(shown, from, { align, isWide });
    const leave = (event) => {
      if (!shown.contains(event.target) && !from.contains(event.target)) onLeave?.();
    };
    move();
    const sized = new ResizeObserver(move);
    sized.observe(shown);
    addEventListener("resize", move);
    addEventListener("scroll", move, true);
    addEventListener("pointerdown", leave, true);
    return () => {
      sized.disconnect();
      removeEventListener("resize", move);
      removeEventListener("scroll", move, true);
      removeEventListener("pointerdown", leave, true);
    };
  }, []);
  return html`<div ref=${box} popover="manual" class="floating ${name}" ...${rest}>${children}</div>`;
}
