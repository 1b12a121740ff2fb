// Renders Block Kit as the bot sent it.
//
// `surface` = {ws, person, id, press({block, element, value}), valueFor(block, element), setValue, errors, isBusy}

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { Confirm } from "./confirm.js";
import { Field, initialOf } from "./fields.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { mrkdwn, textObject, textOnly } from "./mrkdwn.js";
import { richText } from "./rich_text.js";

export const Blocks = ({ blocks, surface }) =>
  blocks.map((block) => html`<${Block} key=${block.block_id} block=${block} surface=${surface} />`);

function Block({ block, surface }) {
  const kind = KINDS[block.type];
  if (!kind) return html`<p class="block is-unknown">A block of the kind ${block.type}, which this page cannot show.</p>`;
  return html`<${kind} block=${block} surface=${surface} />`;
}

const Header = ({ block }) => html`<h4 class="block header">${textObject(block.text)}</h4>`;

const Divider = () => html`<hr class="block divider" />`;

const Markdown = ({ block, surface }) => html`<div class="block text">${mrkdwn(block.text, surface)}</div>`;

// What the app uploaded is on the page's own server.
const sourceOf = (image) => (image.slack_file ? `/files/${encodeURIComponent(image.slack_file.id)}` : image.image_url);

const Picture = ({ block }) => html`
  <figure class="block picture"><img src=${sourceOf(block)} alt=${block.alt_text} />
    ${block.title && html`<figcaption>${textObject(block.title)}</figcaption>`}</figure>
`;

const RichText = ({ block, surface }) => html`<div class="block text rich-text">${richText(block.elements, surface)}</div>`;

const Section = ({ block, surface }) => html`
  <div class="block section">
    <div class="section-text">
      ${block.text && html`<div class="text">${textObject(block.text, surface)}</div>`}
      ${block.fields &&
      html`<div class="fields">
        ${block.fields.map((field) => html`<div class="text">${textObject(field, surface)}</div>`)}
      </div>`}
    </div>
    ${block.accessory && html`<${Element} block=${block} element=${block.accessory} surface=${surface} />`}
  </div>
`;

const Context = ({ block, surface }) => html`
  <div class="block context">
    ${block.elements.map((element) =>
      element.type === "image"
        ? html`<img class="context-image" src=${element.image_url} alt=${element.alt_text} />`
        : html`<span class="text">${textObject(element, surface)}</span>`,
    )}
  </div>
`;

const Actions = ({ block, surface }) => html`
  <div class="block actions" role="group" aria-label="Actions">
    ${block.elements.map(
      (element) =>
        html`<${Element} key=${`${element.action_id} ${element.value}`} block=${block} element=${element} surface=${surface} />`,
    )}
  </div>
`;

function Input({ block, surface }) {
  const { element } = block;
  const id = `${surface.id}-${block.block_id}`;
  const error = surface.errors?.[block.block_id];
  const about = [error && `${id}-error`, block.hint && `${id}-hint`].filter(Boolean).join(" ");
  const isGroup = ["radio_buttons", "checkboxes"].includes(element.type) || element.type.startsWith("multi_");
  const aria = {
    "aria-describedby": about || null,
    "aria-invalid": error ? "true" : null,
    "aria-required": !block.optional && element.type !== "checkboxes" && !element.type.startsWith("multi_") ? "true" : null,
    ...(isGroup ? { "aria-labelledby": `${id}-label` } : { "aria-labelledby": null }),
  };
  const name = html`${textObject(block.label)}${block.optional && html` <span class="optional">optional</span>`}`;
  const change = (value) => {
    surface.setValue(block, element, value);
    // Selects act at once; text fields only on Enter.
    if (block.dispatch_action && !element.type.endsWith("_input")) surface.press({ block, element, value });
  };
  const onEnter = (event) => {
    if (block.dispatch_action && event.key === "Enter") {
      event.preventDefault();
      surface.press({ block, element, value: event.currentTarget.value });
    }
  };
  return html`
    <div class="block input ${error ? "has-error" : ""}">
      ${isGroup
        ? html`<span id="${id}-label" class="input-label">${name}</span>`
        : html`<label for=${id} class="input-label">${name}</label>`}
      <${Field}
        id=${id}
        block=${block}
        element=${element}
        value=${surface.valueFor(block, element)}
        change=${change}
        context=${surface}
        aria=${aria}
        isOptional=${block.optional}
        onEnter=${onEnter}
      />
      ${error && html`<p id="${id}-error" class="input-error"><${Icon} name="alert" />${error}</p>`}
      ${block.hint && html`<p id="${id}-hint" class="input-hint">${textObject(block.hint)}</p>`}
    </div>
  `;
}

function Element({ block, element, surface }) {
  if (element.type === "image") return html`<img class="accessory-image" src=${element.image_url} alt=${element.alt_text} />`;
  if (element.type === "button") return html`<${Button} block=${block} element=${element} surface=${surface} />`;
  if (element.type === "overflow") return html`<${Overflow} block=${block} element=${element} surface=${surface} />`;
  return html`<${Chooser} block=${block} element=${element} surface=${surface} />`;
}

/** Presses the button, after a confirmation if the app wants one. */
function usePress({ block, element, surface }) {
  const [asking, setAsking] = useState(null);
  const press = (value) => {
    if (element.confirm) setAsking({ value });
    else surface.press({ block, element, value });
  };
  const dialog =
    asking &&
    html`<${Confirm}
      confirm=${element.confirm}
      surface=${surface}
      onNo=${() => setAsking(null)}
      onYes=${() => {
        setAsking(null);
        surface.press({ block, element, value: asking.value });
      }}
    />`;
  return [press, dialog];
}

function Button({ block, element, surface }) {
  const [press, dialog] = usePress({ block, element, surface });
  const key = surface.keyOf(block, element);
  const isBusy = surface.busy === key;
  return html`
    <button
      type="button"
      class="button ${element.style ?? ""} ${isBusy ? "is-busy" : ""}"
      aria-label=${element.accessibility_label}
      aria-busy=${isBusy ? "true" : null}
      data-action=${element.action_id}
      onClick=${() => !isBusy && press(element.value ?? null)}
    >
      ${textObject(element.text)}
    </button>
    ${dialog}
  `;
}

function Overflow({ block, element, surface }) {
  const [press, dialog] = usePress({ block, element, surface });
  const items = element.options.map((option) => ({
    text: textOnly(option.text),
    about: option.description && textOnly(option.description),
    run: () => press(option.value),
  }));
  return html`
    <${Menu} label="More actions" items=${items} class="button is-square"><${Icon} name="more" /><//>
    ${dialog}
  `;
}

function Chooser({ block, element, surface }) {
  const [press, dialog] = usePress({ block, element, surface });
  const [value, setValue] = useState(initialOf(element));
  const id = `${surface.id}-${block.block_id}-${element.action_id}`;
  const change = (chosen) => {
    setValue(chosen);
    surface.setValue?.(block, element, chosen);
    press(chosen);
  };
  const name = element.placeholder ? textOnly(element.placeholder) : "Choose";
  return html`
    <div class="chooser">
      <${Field} id=${id} block=${block} element=${element} value=${value} change=${change} context=${surface} aria=${{ "aria-label": name }} />
    </div>
    ${dialog}
  `;
}

const KINDS = {
  actions: Actions,
  context: Context,
  divider: Divider,
  header: Header,
  image: Picture,
  input: Input,
  markdown: Markdown,
  rich_text: RichText,
  section: Section,
};
