// Rich text, in which the app says for each piece what it is: nothing in it is parsed.

import { html } from "../vendor/htm-preact-3.1.1.js";
import { withCharacters } from "./emoji.js";
import { channelLink, outerLink, personMention } from "./mrkdwn.js";

/** The parts of a rich text block as elements. `context` = `{ws, person}`, where `person` is the reader. */
export const richText = (parts, context) => parts.map((part) => PARTS[part.type]?.(part, context) ?? null);

const inline = (elements, context) => elements.map((element) => styled(element, INLINE[element.type]?.(element, context) ?? ""));

const lines = (text) => text.split("\n").flatMap((line, index) => [index > 0 ? html`<br />` : null, line]);

const INLINE = {
  text: ({ text }) => lines(text),
  link: ({ url, text }) => outerLink(url, text ?? url),
  user: ({ user_id }, context) => personMention(user_id, context),
  usergroup: ({ usergroup_id }, { ws }) => html`<span class="mention">@${ws.groups.get(usergroup_id)?.handle ?? "group"}</span>`,
  channel: ({ channel_id }, { ws }) => channelLink(channel_id, ws),
  emoji: ({ name }) => withCharacters(`:${name}:`),
  broadcast: ({ range }) => html`<span class="mention is-me">@${range}</span>`,
};

function styled({ style = {} }, shown) {
  let made = shown;
  if (style.code) made = html`<code class="code">${made}</code>`;
  if (style.bold) made = html`<strong>${made}</strong>`;
  if (style.italic) made = html`<em>${made}</em>`;
  return style.strike ? html`<s>${made}</s>` : made;
}

const PARTS = {
  rich_text_section: ({ elements }, context) => html`<p class="rich-text-part">${inline(elements, context)}</p>`,
  rich_text_quote: ({ elements }, context) => html`<blockquote class="quote">${inline(elements, context)}</blockquote>`,
  rich_text_preformatted: ({ elements }, context) => html`<pre class="pre"><code>${inline(elements, context)}</code></pre>`,
  rich_text_list: ({ elements, style }, context) => {
    const items = elements.map((item) => html`<li>${inline(item.elements, context)}</li>`);
    return style === "ordered" ? html`<ol>${items}</ol>` : html`<ul>${items}</ul>`;
  },
};
