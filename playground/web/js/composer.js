// Where people write: a message, or a slash command with completion from the app's manifest.

import { html, useLayoutEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { Floating } from "./floating.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { tryAct } from "./pressing.js";

/** The literal words in a command's usage hint, such as `mine` in "[profile 2h why] · mine · help". */
export const subcommands = (command) =>
  command.usage_hint
    .split(" · ")
    .map((part) => part.match(/^[a-z][a-z-]*/)?.[0])
    .filter(Boolean);

/** Completions of the line so far: `{text, label, about}`, the best first. */
export function complete(line, commands) {
  if (/^\/\S*$/.test(line)) {
    return commands
      .filter((command) => command.name.startsWith(line))
      .map(({ name, usage_hint, description }) => ({ text: `${name} `, label: name, usage: usage_hint, about: description }));
  }
  const [, name, begun] = line.match(/^(\/\S+) (\S*)$/) ?? [];
  const command = commands.find((each) => each.name === name);
  if (!command) return [];
  return subcommands(command)
    .filter((word) => word.startsWith(begun) && word !== begun)
    .map((word) => ({ text: `${name} ${word}`, label: `${name} ${word}`, about: "" }));
}

export function Composer({ ws, person, channel, id, notify, thread, draft, setDraft }) {
  const field = useRef(null);
  const box = useRef(null);
  const [active, setActive] = useState(-1);
  const [isHidden, setHidden] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const history = useRef([]);
  const { commands, shortcuts } = ws.app;
  const found = thread || isHidden ? [] : complete(draft, commands);
  const isExact = commands.some((command) => command.name === draft.trim());

  useLayoutEffect(() => {
    field.current.style.height = "auto";
    field.current.style.height = `${field.current.scrollHeight}px`;
  }, [draft]);

  const write = (text) => {
    setDraft(text);
    setHidden(false);
    // Enter takes the first command, unless the line already is a complete one.
    const isName = /^\/\S+$/.test(text) && !commands.some((command) => command.name === text);
    setActive(isName && complete(text, commands).length ? 0 : -1);
  };
  const take = (choice) => {
    write(choice.text);
    field.current.focus();
  };
  const send = async () => {
    const text = draft.trim();
    if (!text || isBusy) return;
    if (text.startsWith("/") && thread) return notify("Slack doesn't accept commands in threads.");
    if (text.startsWith("/") && !commands.some((command) => text.split(/\s/)[0] === command.name)) {
      return notify(`${text.split(/\s/)[0]} isn't a command here. Countersign has: ${commands.map((c) => c.name).join(", ")}.`);
    }
    history.current.push(text);
    setDraft("");
    setBusy(true);
    const asked = text.startsWith("/") ? { act: "command", text } : { act: "say", text, thread_ts: thread ?? null };
    const answer = await tryAct({ person, channel: channel.id, ...asked }, notify);
    setBusy(false);
    // Keep the text if it didn't arrive.
    if (answer === null || answer.failure) setDraft(text);
  };
  const onKeyDown = (event) => {
    const { key } = event;
    if (event.isComposing) return;
    if (found.length && key === "ArrowDown") setActive((active + 1) % found.length);
    else if (found.length && key === "ArrowUp") setActive(active <= 0 ? found.length - 1 : active - 1);
    else if (found.length && key === "Tab" && !event.shiftKey) take(found[Math.max(0, active)]);
    else if (found.length && key === "Escape") setHidden(true);
    else if (key === "ArrowUp" && draft === "" && history.current.length) write(history.current.at(-1));
    else if (key === "Enter" && !event.shiftKey) {
      if (found[active] && !isExact) take(found[active]);
      else send();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const name = thread ? "Reply in the thread" : `Message #${channel.name}`;
  const items = [
    ...shortcuts.map(({ callback_id, name: text, description }) => ({
      text,
      about: description,
      lead: html`<${Icon} name="bolt" />`,
      run: () => tryAct({ act: "shortcut", person, callback_id }, notify),
    })),
    ...commands.map((command) => ({
      text: command.name,
      about: command.description,
      lead: html`<span class="menu-slash">/</span>`,
      run: () => take({ text: `${command.name} ` }),
    })),
  ];
  const isOpen = found.length > 0;
  return html`
    <div ref=${box} class="composer ${isBusy ? "is-busy" : ""}">
      ${!thread && html`<${Menu} label="Shortcuts and commands" items=${items} class="icon-button"><${Icon} name="plus" /><//>`}
      <textarea
        ref=${field}
        id="${id}-composer"
        rows="1"
        aria-label=${name}
        placeholder=${thread ? "Reply…" : `Message #${channel.name}`}
        aria-autocomplete="list"
        aria-haspopup="listbox"
        aria-controls=${isOpen ? `${id}-found` : null}
        aria-activedescendant=${isOpen && active >= 0 ? `${id}-found-${active}` : null}
        value=${draft}
        spellcheck="false"
        onInput=${(event) => write(event.currentTarget.value)}
        onKeyDown=${onKeyDown}
        onBlur=${() => setHidden(true)}
      ></textarea>
      <button type="button" class="icon-button send" aria-label="Send" title="Send" disabled=${!draft.trim()} onClick=${send}>
        <${Icon} name="send" />
      </button>
      ${isOpen && html`<${Found} id=${id} found=${found} active=${active} anchor=${box} take=${take} />`}
    </div>
  `;
}

const Found = ({ id, found, active, anchor, take }) => html`
  <${Floating} anchor=${anchor} isWide class="completions">
    <ul id="${id}-found" role="listbox" aria-label="Commands" class="menu">
      ${found.map(
        (choice, index) => html`
          <li
            key=${choice.label}
            id="${id}-found-${index}"
            role="option"
            aria-selected=${index === active}
            class="menu-item ${index === active ? "is-active" : ""}"
            onPointerDown=${(event) => event.preventDefault()}
            onClick=${() => take(choice)}
          >
            <span class="menu-text">
              <span><strong>${choice.label}</strong> ${choice.usage && html`<span class="usage">${choice.usage}</span>`}</span>
              ${choice.about && html`<span class="menu-about">${choice.about}</span>`}
            </span>
          </li>
        `,
      )}
    </ul>
    <p class="menu-keys" aria-hidden="true"><kbd>↑</kbd><kbd>↓</kbd> choose <kbd>Tab</kbd> complete <kbd>Enter</kbd> send</p>
  <//>
`;
