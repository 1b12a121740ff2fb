// A button in the top bar with a small panel under it.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { Floating } from "./floating.js";
import { keepFocus } from "./focus.js";
import { Icon } from "./icons.js";

/** `children(close)` is what the panel shows. */
export function ToolPanel({ icon, text, label, title, children, onOpen, tool, class: name = "" }) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef(null);
  const close = () => setOpen(false);
  return html`
    <button
      ref=${button}
      type="button"
      class="tool ${name}"
      data-tool=${tool}
      aria-haspopup="dialog"
      aria-expanded=${isOpen}
      aria-label=${label}
      title=${title}
      onClick=${() => {
        if (!isOpen) onOpen?.();
        setOpen(!isOpen);
      }}
    >
      <${Icon} name=${icon} /><span class="tool-text">${text}</span>
    </button>
    ${isOpen &&
    html`<${Floating} anchor=${button} align="end" onLeave=${close} class="panel">
      <${Held} label=${title} close=${close}>${children(close)}<//>
    <//>`}
  `;
}

function Held({ label, close, children }) {
  const box = useRef(null);
  // Not earlier: an element that isn't shown yet can't take the focus.
  useEffect(() => keepFocus(box.current, { onEscape: close }), []);
  return html`<div ref=${box} role="dialog" aria-label=${label} class="panel-inner" tabindex="-1">${children}</div>`;
}
