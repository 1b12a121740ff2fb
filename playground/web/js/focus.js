// Where the keyboard is: kept inside of what lies on top, and given back afterwards.

const FOCUSABLE = 'button:not([disabled]):not([tabindex="-1"]), [href], input, textarea, select, [tabindex="0"]';

export const focusable = (root) =>
  [...root.querySelectorAll(FOCUSABLE)].filter((each) => each.getClientRects().length > 0);

/**
 * Put the focus into `root`, let Tab go round in it, and give the focus back when the returned function is called.
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
