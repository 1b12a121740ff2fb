// A menu that is searched, as an editable combobox: one choice, or several that stand as chips before the field.

import { html, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { withPictures } from "./emoji.js";
import { Floating } from "./floating.js";
import { Icon } from "./icons.js";
import { Option, step } from "./select.js";

/**
 * `load(query)` gives the options `{value, text, about, group}` for what was typed. `values` are the chosen ones, `known`
 * the options that are known already; `change(values)` reports a choice. `most` can be chosen.
 */
export function SearchSelect({ id, load, values, known, most, placeholder, change, isOptional, ...aria }) {
  const [query, setQuery] = useState(null);
  const [found, setFound] = useState([]);
  const [active, setActive] = useState(0);
  const [isBusy, setBusy] = useState(false);
  const box = useRef(null);
  const field = useRef(null);
  const latest = useRef(0);
  const isAwaited = useRef(false);
  const seen = useRef(new Map());
  for (const option of [...known, ...found]) seen.current.set(option.value, option);
  const textOf = (value) => seen.current.get(value)?.text ?? value;
  const isMany = most > 1;
  const isOpen = query !== null;
  const isFull = isMany && values.length >= most;

  const search = async (typed) => {
    const turn = ++latest.current;
    isAwaited.current = false;
    setQuery(typed);
    setBusy(true);
    const options = await load(typed);
    // Slack asks at every letter, and answers may overtake each other.
    if (turn !== latest.current) return;
    setFound(options);
    setActive(0);
    setBusy(false);
    if (isAwaited.current) choose(options[0]);
  };
  const close = () => {
    latest.current += 1;
    setQuery(null);
    setBusy(false);
  };
  const choose = (option) => {
    if (!option) return;
    if (!isMany) change([option.value]);
    else if (values.includes(option.value)) change(values.filter((each) => each !== option.value));
    else if (!isFull) change([...values, option.value]);
    close();
    field.current.focus();
  };
  const remove = (value) => {
    change(values.filter((each) => each !== value));
    field.current.focus();
  };
  const onKeyDown = (event) => {
    const { key } = event;
    const moved = isOpen && key !== "Home" && key !== "End" ? step(key, active, found.length) : undefined;
    if (key === "Escape" && isOpen) close();
    else if (key === "Tab") return close();
    else if (!isOpen && ["ArrowDown", "ArrowUp", "Enter"].includes(key)) search("");
    // Who types fast presses Enter before the options are there.
    else if (isOpen && key === "Enter") isBusy ? (isAwaited.current = true) : choose(found[active]);
    else if (moved !== undefined) setActive(Math.max(0, moved));
    else if (key === "Backspace" && !query && values.length && (isMany || isOptional)) remove(values.at(-1));
    else return;
    event.preventDefault();
  };
  const shown = isOpen ? query : isMany ? "" : values.map(textOf).join("");
  return html`
    <div class="search" ref=${box}>
      ${isMany &&
      values.length > 0 &&
      html`<ul class="chips" aria-label="Chosen">
        ${values.map(
          (value) => html`<li key=${value} class="chip">
            ${withPictures(textOf(value))}
            <button type="button" class="chip-remove" aria-label="Remove ${textOf(value)}" onClick=${() => remove(value)}>
              <${Icon} name="close" />
            </button>
          </li>`,
        )}
      </ul>`}
      <input
        ref=${field}
        id=${id}
        type="text"
        role="combobox"
        class="text-field search-field"
        autocomplete="off"
        aria-autocomplete="list"
        aria-haspopup="listbox"
        aria-expanded=${isOpen}
        aria-controls=${isOpen ? `${id}-list` : null}
        aria-activedescendant=${isOpen && found.length ? `${id}-${active}` : null}
        placeholder=${isFull ? `${most} are chosen, the most` : placeholder}
        value=${shown}
        onClick=${() => !isOpen && search("")}
        onInput=${(event) => search(event.currentTarget.value)}
        onKeyDown=${onKeyDown}
        onBlur=${(event) => !box.current.contains(event.relatedTarget) && close()}
        ...${aria}
      />
      <span class="hearable" role="status">${isOpen && !isBusy ? `${found.length || "Nothing"} found` : ""}</span>
      ${isOpen &&
      html`
        <${Floating} anchor=${field} isWide onLeave=${close}>
          <ul id="${id}-list" role="listbox" class="menu" aria-label="Choices" tabindex="-1" aria-multiselectable=${isMany}>
            ${found.map(
              (option, index) => html`<${Option}
                key=${option.value}
                id="${id}-${index}"
                option=${option}
                isChosen=${values.includes(option.value)}
                isActive=${index === active}
                choose=${() => choose(option)}
                over=${() => setActive(index)}
              />`,
            )}
            ${!found.length && html`<li role="presentation" class="menu-group">${isBusy ? "Searching…" : "Nothing found"}</li>`}
          </ul>
        <//>
      `}
    </div>
  `;
}
