// A menu of choices, as a select-only combobox: the focus stays on the field, and the arrow keys move through the list.

import { html, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { withPictures } from "./emoji.js";
import { Floating } from "./floating.js";
import { Icon } from "./icons.js";

const STILL_TYPING_MS = 700;

/** Where a key moves to in a list; undefined for other keys. */
export function step(key, now, count) {
  switch (key) {
    case "ArrowDown":
      return Math.min(now + 1, count - 1);
    case "ArrowUp":
      return Math.max(now - 1, 0);
    case "PageDown":
      return Math.min(now + 8, count - 1);
    case "PageUp":
      return Math.max(now - 8, 0);
    case "Home":
      return 0;
    case "End":
      return count - 1;
  }
}

/**
 * `options` are `{value, text, about, group}`, all text; `value` is that of the chosen option, or null.
 */
export function Select({ id, options, value, placeholder, onChange, isOptional, ...aria }) {
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const field = useRef(null);
  const typed = useRef({ text: "", at: 0 });
  const chosen = options.find((option) => option.value === value);

  const open = () => {
    setActive(Math.max(0, options.indexOf(chosen)));
    setOpen(true);
  };
  const choose = (index) => {
    setOpen(false);
    if (options[index] && options[index].value !== value) onChange(options[index].value);
    field.current.focus();
  };
  const typeAhead = (letter) => {
    const now = Date.now();
    const text = now - typed.current.at > STILL_TYPING_MS ? letter : typed.current.text + letter;
    typed.current = { text, at: now };
    const found = options.findIndex((option) => option.text.toLowerCase().startsWith(text.toLowerCase()));
    if (found >= 0) {
      setActive(found);
      setOpen(true);
    }
  };
  const onKeyDown = (event) => {
    const { key } = event;
    if (key === "Escape" && isOpen) {
      setOpen(false);
    } else if (key === "Tab") {
      if (isOpen) choose(active);
      return;
    } else if (!isOpen && ["ArrowDown", "ArrowUp", "Enter", " "].includes(key)) {
      open();
    } else if (isOpen && (key === "Enter" || key === " ")) {
      choose(active);
    } else if (isOpen && step(key, active, options.length) !== undefined) {
      setActive(step(key, active, options.length));
    } else if ((key === "Delete" || key === "Backspace") && isOptional) {
      onChange(null);
    } else if (key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      typeAhead(key);
    } else {
      return;
    }
    event.preventDefault();
  };

  return html`
    <div class="select">
      <button
        ref=${field}
        id=${id}
        type="button"
        role="combobox"
        class="select-field"
        aria-haspopup="listbox"
        aria-expanded=${isOpen}
        aria-controls=${isOpen ? `${id}-list` : null}
        aria-activedescendant=${isOpen ? `${id}-${active}` : null}
        onClick=${() => (isOpen ? setOpen(false) : open())}
        onKeyDown=${onKeyDown}
        onBlur=${() => setOpen(false)}
        ...${aria}
      >
        <span class=${chosen ? "select-value" : "select-value is-empty"}>${withPictures(chosen?.text ?? placeholder)}</span>
        <${Icon} name="chevron" />
      </button>
      ${isOpen &&
      html`
        <${Floating} anchor=${field} isWide onLeave=${() => setOpen(false)}>
          <ul id="${id}-list" role="listbox" class="menu" aria-label="Choices" tabindex="-1">
            ${options.map((option, index) => {
              const heading = option.group && option.group !== options[index - 1]?.group;
              return html`
                ${heading && html`<li role="presentation" class="menu-group">${withPictures(option.group)}</li>`}
                <${Option}
                  key=${option.value}
                  id="${id}-${index}"
                  option=${option}
                  isChosen=${option === chosen}
                  isActive=${index === active}
                  choose=${() => choose(index)}
                  over=${() => setActive(index)}
                />
              `;
            })}
          </ul>
        <//>
      `}
    </div>
  `;
}

export function Option({ id, option, isChosen, isActive, choose, over }) {
  const show = (element) => isActive && element?.scrollIntoView({ block: "nearest" });
  return html`
    <li
      ref=${show}
      id=${id}
      role="option"
      aria-selected=${isChosen}
      class="menu-item ${isActive ? "is-active" : ""}"
      onPointerDown=${(event) => event.preventDefault()}
      onPointerMove=${over}
      onClick=${choose}
    >
      <span class="menu-check">${isChosen && html`<${Icon} name="check" />`}</span>
      <span class="menu-text">
        ${withPictures(option.text)}${option.about && html`<span class="menu-about">${withPictures(option.about)}</span>`}
      </span>
    </li>
  `;
}
