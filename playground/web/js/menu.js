// A button that opens a menu of actions.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { withPictures } from "./emoji.js";
import { Floating } from "./floating.js";

/** `items` are `{text, about, lead, isCurrent, run}`; `children` is what the button shows. */
export function Menu({ label, items, class: name = "icon-button", align = "start", role = "menuitem", children, ...rest }) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef(null);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const onKeyDown = (event) => {
    if (!isOpen && event.key === "ArrowDown") {
      event.preventDefault();
      setOpen(true);
    }
  };
  return html`
    <button
      ref=${button}
      type="button"
      class=${name}
      aria-label=${label}
      title=${label}
      aria-haspopup="menu"
      aria-expanded=${isOpen}
      onClick=${() => setOpen(!isOpen)}
      onKeyDown=${onKeyDown}
      ...${rest}
    >
      ${children}
    </button>
    ${isOpen &&
    html`
      <${Floating} anchor=${button} align=${align} onLeave=${() => setOpen(false)}>
        <${Items} label=${label} items=${items} role=${role} close=${close} leave=${() => setOpen(false)} />
      <//>
    `}
  `;
}

function Items({ label, items, role, close, leave }) {
  const list = useRef(null);
  const entries = () => [...list.current.querySelectorAll("[role^=menuitem]")];
  // Not earlier: an element that isn't shown yet can't take the focus.
  useEffect(() => (entries().find((e) => e.getAttribute("aria-checked") === "true") ?? entries()[0])?.focus(), []);
  const onKeyDown = (event) => {
    const all = entries();
    const now = all.indexOf(document.activeElement);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) all[to % all.length].focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") return leave();
    else if (event.key.length === 1 && /\S/.test(event.key)) {
      all.find((each) => each.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
      return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`
    <div ref=${list} role="menu" class="menu" aria-label=${label} onKeyDown=${onKeyDown}>
      ${items.map(
        (item) => html`
          <button
            key=${item.text}
            type="button"
            role=${role}
            aria-checked=${role === "menuitemradio" ? Boolean(item.isCurrent) : null}
            tabindex="-1"
            class="menu-item"
            onClick=${() => {
              close();
              item.run();
            }}
          >
            ${item.lead}
            <span class="menu-text">
              ${withPictures(item.text)}${item.about && html`<span class="menu-about">${withPictures(item.about)}</span>`}
            </span>
          </button>
        `,
      )}
    </div>
  `;
}
