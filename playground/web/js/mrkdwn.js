// Slack's mrkdwn, turned into elements one by one: nobody's text ever becomes HTML.

import { html } from "../vendor/htm-preact-3.1.1.js";
import { fill, relative } from "./dates.js";
import { withCharacters, withPictures } from "./emoji.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
const plain = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);

// In order of precedence: nothing is parsed inside <…> or `…`.
const INLINE = new RegExp(
  [
    String.raw`<(?<angle>[^<>\n]+)>`,
    "`(?<code>[^`\\n]+)`",
    String.raw`(?<![\w*])\*(?<bold>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])`,
    String.raw`(?<![\w_])_(?<italic>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])`,
    String.raw`(?<![\w~])~(?<strike>[^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])`,
  ].join("|"),
  "g",
);

/** Mrkdwn as elements. `context` = `{ws, person}`, where `person` is the reader. */
export function mrkdwn(text, context) {
  const parts = text.split(/```\n?([\s\S]+?)\n?```/);
  return parts.map((part, index) =>
    index % 2 ? html`<pre class="pre"><code>${plain(part)}</code></pre>` : quoted(part, context),
  );
}

/** A Block Kit text object as elements. */
export const textObject = (object, context) =>
  object.type === "mrkdwn" ? mrkdwn(object.text, context) : withPictures(textOnly(object));

/** A plain text object as a string, for attributes and for search. */
export const textOnly = (object) => (object.emoji === false ? object.text : withCharacters(object.text));

/** Mrkdwn as plain text, for screen readers. */
export function spoken(text, { ws }) {
  const named = text.replace(/<([^<>\n]+)>/g, (_, inner) => spokenAngle(inner, ws));
  return withCharacters(plain(named)).replace(/[*_~`]/g, "");
}

function spokenAngle(inner, ws) {
  const [target, label] = inner.split("|");
  if (target.startsWith("@")) return ws.nameOf(target.slice(1));
  if (target.startsWith("!date^")) return dateIn(target, ws).text ?? label ?? "";
  return label ?? target;
}

const ordinary = (text) => withPictures(withCharacters(plain(text)));

function quoted(text, context) {
  const groups = [];
  for (const line of text.split("\n")) {
    const isQuote = /^(?:&gt;|>)\s?/.test(line);
    const shown = isQuote ? line.replace(/^(?:&gt;|>)\s?/, "") : line;
    const last = groups.at(-1);
    if (last && last.isQuote === isQuote) last.lines.push(shown);
    else groups.push({ isQuote, lines: [shown] });
  }
  return groups.map(({ isQuote, lines }) => {
    const shown = lines.flatMap((line, index) => [index > 0 ? html`<br />` : null, ...inline(line, context)]);
    return isQuote ? html`<blockquote class="quote">${shown}</blockquote>` : shown;
  });
}

function inline(text, context) {
  const shown = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > end) shown.push(...ordinary(text.slice(end, found.index)));
    shown.push(formatted(found, context));
    end = found.index + found[0].length;
  }
  if (end < text.length) shown.push(...ordinary(text.slice(end)));
  return shown;
}

function formatted(found, context) {
  const { angle, code, bold, italic, strike } = found.groups;
  if (angle !== undefined) return special(angle, context);
  if (code !== undefined) return html`<code class="code">${plain(code)}</code>`;
  if (bold !== undefined) return html`<strong>${inline(bold, context)}</strong>`;
  if (italic !== undefined) return html`<em>${inline(italic, context)}</em>`;
  return html`<s>${inline(strike, context)}</s>`;
}

export function personMention(id, { ws, person }, label) {
  return html`<span class=${id === person ? "mention is-me" : "mention"}>@${label ?? ws.nameOf(id)}</span>`;
}

export const channelLink = (id, ws, label) =>
  html`<span class="mention">#${label ?? ws.channels.get(id)?.name ?? "private-channel"}</span>`;

export const outerLink = (address, shown) =>
  html`<a href=${address} target="_blank" rel="noopener noreferrer">${shown}</a>`;

const PERMALINK = /^https:\/\/[a-z0-9-]+\.slack\.com\/archives\/([A-Z0-9]+)\/p(\d{10})(\d{6})$/;

/** The link to a message of this workspace, which opens it in the pane; undefined for other addresses. */
function messageLink(address, label, ws) {
  const [, channel, seconds, fraction] = PERMALINK.exec(address) ?? [];
  if (!channel || !ws.channels.has(channel)) return undefined;
  const detail = { channel, ts: `${seconds}.${fraction}` };
  const open = (event) => {
    event.preventDefault();
    event.currentTarget.dispatchEvent(new CustomEvent("openmessage", { bubbles: true, detail }));
  };
  return html`<a href=${address} class="message-link" onClick=${open}>${ordinary(label)}</a>`;
}

function special(inner, { ws, person }) {
  const [target, label] = inner.split("|");
  if (target.startsWith("@")) return personMention(target.slice(1), { ws, person }, label);
  if (target.startsWith("#")) return channelLink(target.slice(1), ws, label);
  if (target.startsWith("!subteam^")) {
    const group = ws.groups.get(target.slice("!subteam^".length));
    const isMe = group?.users.includes(person);
    return html`<span class=${isMe ? "mention is-me" : "mention"}>@${group?.handle ?? label ?? "group"}</span>`;
  }
  if (target.startsWith("!date^")) return date(target, label, ws);
  if (/^!(?:here|channel|everyone)$/.test(target)) return html`<span class="mention is-me">@${target.slice(1)}</span>`;
  if (/^(?:https?:\/\/|mailto:)/.test(target)) {
    const address = plain(target);
    return messageLink(address, label ?? address, ws) ?? outerLink(address, label ? ordinary(label) : address);
  }
  return plain(label ?? target);
}

/** `!date^seconds^pattern`: the time and its text; undefined where Slack would show the fallback. */
function dateIn(target, ws) {
  const [, seconds, pattern] = target.split("^");
  const at = new Date(Number(seconds) * 1000);
  const now = new Date(ws.now());
  return { at, now, text: pattern && !Number.isNaN(at.getTime()) ? fill(pattern, at, now) : undefined };
}

function date(target, fallback, ws) {
  const { at, now, text } = dateIn(target, ws);
  if (text === undefined) return plain(fallback ?? "");
  return html`<time class="moment" dateTime=${at.toISOString()} title=${relative(at, now)}>${text}</time>`;
}
