// The Block Kit elements that hold a value: what they show, and which value they report on a change.

import { html } from "../vendor/htm-preact-3.1.1.js";
import { withPictures } from "./emoji.js";
import { textObject, textOnly } from "./mrkdwn.js";
import { SearchSelect } from "./search_select.js";
import { Select } from "./select.js";

const offered = (element) => [
  ...(element.options ?? []).map((option) => ({ option })),
  ...(element.option_groups ?? []).flatMap((group) =>
    group.options.map((option) => ({ option, group: textOnly(group.label) })),
  ),
];

const people = (ws) => [...ws.people.values()].map((p) => ({ value: p.id, text: p.real_name || p.name }));
const channels = (ws) =>
  [...ws.channels.values()].filter((c) => !c.im_user).map((c) => ({ value: c.id, text: `#${c.name}` }));

function choices(element, ws) {
  if (element.type.endsWith("users_select")) return people(ws);
  if (element.type.endsWith("channels_select") || element.type.endsWith("conversations_select")) return channels(ws);
  return offered(element).map(({ option, group }) => asChoice(option, group));
}

function asChoice(option, group) {
  const about = option.description && textOnly(option.description);
  return { value: option.value, text: textOnly(option.text), about, group };
}

/** An element's value in a Slack state, in the form of `typed`: options by their values. */
export function valueOf(state) {
  if (!state) return null;
  if (state.selected_option !== undefined) return state.selected_option?.value ?? null;
  if (state.selected_options !== undefined) return state.selected_options.map((option) => option.value);
  const key = Object.keys(state).find((each) => each !== "type");
  return key === undefined ? null : state[key];
}

/** The initial value of an element outside of a view. */
export function initialOf(element) {
  if (element.initial_option) return element.initial_option.value;
  if (element.initial_options) return element.initial_options.map((option) => option.value);
  const key = Object.keys(element).find((each) => each.startsWith("initial_"));
  return key ? element[key] : null;
}

const NATIVE = {
  email_text_input: { type: "email", autocomplete: "off" },
  url_text_input: { type: "url", autocomplete: "off" },
  number_input: { type: "number", step: "any" },
  datepicker: { type: "date" },
  timepicker: { type: "time" },
};

/** One element with a value. `change(value)` reports a new one; `aria` describes it to screen readers. */
export function Field({ id, block, element, value, change, context, aria = {}, isOptional = false, onEnter }) {
  const placeholder = element.placeholder ? textOnly(element.placeholder) : "";
  const shared = { id, block, element, value, change, context, aria, placeholder, isOptional, onEnter };
  if (element.type === "plain_text_input") return html`<${Text} ...${shared} />`;
  if (element.type.endsWith("external_select") || element.type === "multi_static_select") return html`<${Searched} ...${shared} />`;
  if (element.type in NATIVE) return html`<${Line} ...${shared} kind=${NATIVE[element.type]} />`;
  if (element.type === "datetimepicker") return html`<${Moment} ...${shared} />`;
  if (element.type === "radio_buttons") return html`<${Picks} ...${shared} />`;
  if (element.type === "checkboxes" || element.type.startsWith("multi_")) return html`<${Picks} ...${shared} isMany />`;
  return html`
    <${Select}
      id=${id}
      options=${choices(element, context.ws)}
      value=${value}
      placeholder=${placeholder || "Choose…"}
      onChange=${change}
      isOptional=${isOptional}
      ...${aria}
    />
  `;
}

/** A menu in which people search: Slack asks the app for the options, or looks among those that it has. */
function Searched({ id, block, element, value, change, context, aria, placeholder, isOptional }) {
  const isMany = element.type.startsWith("multi_");
  const values = isMany ? (value ?? []) : value === null ? [] : [value];
  const all = choices(element, context.ws);
  const load = async (query) => {
    if (!element.type.endsWith("external_select")) {
      const words = query.toLowerCase();
      return all.filter((choice) => choice.text.toLowerCase().includes(words));
    }
    if ([...query].length < (element.min_query_length ?? 3)) return [];
    return (await context.search({ block, element, query })).map((option) => asChoice(option));
  };
  const now = [...(element.initial_options ?? []), ...(element.initial_option ? [element.initial_option] : [])];
  return html`
    <${SearchSelect}
      id=${id}
      load=${load}
      values=${values}
      known=${[...all, ...now.map((option) => asChoice(option))]}
      most=${isMany ? (element.max_selected_items ?? Infinity) : 1}
      placeholder=${placeholder || "Choose…"}
      change=${(chosen) => change(isMany ? chosen : (chosen[0] ?? null))}
      isOptional=${isOptional}
      ...${aria}
    />
  `;
}

function Text({ id, element, value, change, aria, placeholder, onEnter }) {
  const shared = {
    id,
    placeholder,
    value: value ?? "",
    class: "text-field",
    onInput: (event) => change(event.currentTarget.value),
    ...aria,
  };
  const max = element.max_length;
  const count = [...(value ?? "")].length;
  const field = element.multiline
    ? html`<textarea rows="4" ...${shared}></textarea>`
    : html`<input type="text" autocomplete="off" ...${shared} onKeyDown=${onEnter} />`;
  const isClose = max && count > max * 0.8;
  return html`
    ${field}
    ${isClose && html`<span class="field-count ${count > max ? "is-over" : ""}">${max - count} left</span>`}
  `;
}

function Line({ id, kind, element, value, change, aria, placeholder, onEnter }) {
  return html`
    <input
      id=${id}
      class="text-field"
      placeholder=${placeholder}
      value=${value ?? ""}
      min=${element.min_value}
      max=${element.max_value}
      onInput=${(event) => change(event.currentTarget.value || null)}
      onKeyDown=${onEnter}
      ...${kind}
      ...${aria}
    />
  `;
}

function Moment({ id, value, change, aria }) {
  const local = value && new Date(value * 1000 - new Date(value * 1000).getTimezoneOffset() * 60_000);
  return html`
    <input
      id=${id}
      class="text-field"
      type="datetime-local"
      value=${local ? local.toISOString().slice(0, 16) : ""}
      onInput=${({ currentTarget: { value: at } }) => change(at ? Math.floor(new Date(at).getTime() / 1000) : null)}
      ...${aria}
    />
  `;
}

function Picks({ id, element, value, change, context, aria, isMany = false }) {
  const chosen = isMany ? (value ?? []) : [value];
  const pick = (option, isOn) => {
    if (!isMany) return change(option);
    change(isOn ? [...chosen, option] : chosen.filter((each) => each !== option));
  };
  const isRich = ["radio_buttons", "checkboxes"].includes(element.type);
  const all = isRich
    ? element.options.map((o) => ({ value: o.value, text: textObject(o.text, context), about: o.description && textObject(o.description, context) }))
    : choices(element, context.ws).map((choice) => ({ ...choice, text: withPictures(choice.text) }));
  return html`
    <div id=${id} class="picks" role=${isMany ? "group" : "radiogroup"} tabindex="-1" ...${aria}>
      ${all.map(
        (option) => html`
          <label key=${option.value} class="pick">
            <input
              type=${isMany ? "checkbox" : "radio"}
              name=${id}
              checked=${chosen.includes(option.value)}
              onChange=${(event) => pick(option.value, event.currentTarget.checked)}
            />
            <span class="pick-text">
              ${option.text}${option.about && html`<span class="pick-about">${option.about}</span>`}
            </span>
          </label>
        `,
      )}
    </div>
  `;
}
