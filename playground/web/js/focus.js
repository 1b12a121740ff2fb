// Keyboard focus: kept inside the top layer, and restored afterwards.

const FOCUSABLE = 'button:not([disabled]):not([tabindex="-1"]), [href], input, textarea, select, [tabindex="0"]';

export const focusable = (root) =>
  [...root.querySelectorAll(FOCUSABLE)].filter((each) => each.getClientRects().length > 0);

/**
 * Move the focus into `root` and keep Tab inside it. The returned function restores the focus.
 */
export function keepFocus(root, { first, onEscape, mayTake = true }) {
  const before = document.activeElement;
  if (mayTake) ((first && root.querySelector(first)) || focusable(root)[0] || root).focus();
  const onKeyDown = (event) => {
    if (event.defaultPrevented) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      onEscape();
    } else if (event.key === "Tab") {
      const all = focusable(root);
      const [start, end] = [all[0], all.at(-1)];
      if (event.shiftKey && (document.activeElement === start || document.activeElement === root)) {
        event.preventDefault();
        end?.focus();
      } else if (!event.shiftKey && document.activeElement === end) {
        event.preventDefault();
        start?.focus();
      }
    }
  };
  root.addEventListener("keydown", onKeyDown);
  return () => {
    root.removeEventListener("keydown", onKeyDown);
    if (mayTake && before?.isConnected) before.focus();
  };
}
