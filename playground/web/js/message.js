// One message: who said it and when, and the blocks that the bot sent.

import { html, useLayoutEffect, useRef } from "../vendor/htm-preact-3.1.1.js";
import { Blocks } from "./blocks.js";
import { dayAndTime, relative, timeOf } from "./dates.js";
import { Avatar, Icon } from "./icons.js";
import { mrkdwn, spoken } from "./mrkdwn.js";
import { tryAct, usePresses } from "./pressing.js";

/** Keep the focus on a message whose focused button was removed. */
function useKeptFocus(root) {
  const wasInside = useRef(false);
  const onFocusIn = () => {
    wasInside.current = true;
  };
  const onFocusOut = (event) => {
    const left = event.target;
    // A removed element loses the focus to the body; that is noticed a moment later.
    queueMicrotask(() => {
      if (left.isConnected && !root.current?.contains(document.activeElement)) wasInside.current = false;
    });
  };
  useLayoutEffect(() => {
    if (wasInside.current && (document.activeElement === document.body || document.activeElement === null)) {
      root.current.focus({ preventScroll: true });
    }
  });
  // In lower case, because Preact passes names that aren't element properties unchanged.
  return { onfocusin: onFocusIn, onfocusout: onFocusOut };
}

export function Message({ ws, person, message, id, isCompact, notify, replies = [], openThread }) {
  const root = useRef(null);
  const kept = useKeptFocus(root);
  const where = { channel: message.channel, ts: message.ts };
  const presses = usePresses({ person, where, notify });
  const surface = { ws, person, id: `${id}-${message.ts.replace(".", "-")}`, valueFor: () => null, ...presses };
  const at = new Date(Number(message.ts) * 1000);
  const author = ws.person(message.user);
  const name = ws.nameOf(message.user);
  return html`
    <article
      ref=${root}
      class="message ${isCompact ? "is-compact" : ""} ${message.to ? "is-ephemeral" : ""}"
      aria-label="${name}, ${timeOf(at)}${message.to ? ", only visible to you" : ""}"
      tabindex="-1"
      data-ts=${message.ts}
      ...${kept}
    >
      <div class="message-gutter">
        ${isCompact
          ? html`<time class="message-hover-time" dateTime=${at.toISOString()}>${timeOf(at)}</time>`
          : html`<${Avatar} ws=${ws} id=${message.user} />`}
      </div>
      <div class="message-main">
        ${message.to &&
        html`<p class="only-you">
          <${Icon} name="eye" />Only visible to you
          <button type="button" class="link-button" onClick=${() => tryAct({ act: "dismiss", person, ...where }, notify)}>Dismiss</button>
        </p>`}
        ${!isCompact &&
        html`<p class="message-head">
          <span class="message-author">${name}</span>
          ${author?.is_bot && html`<span class="badge">App</span>`}
          <time class="message-time" dateTime=${at.toISOString()} title="${dayAndTime(at)}, ${relative(at, new Date(ws.now()))}">${timeOf(at)}</time>
          ${message.edited_ts && html`<span class="edited">edited</span>`}
        </p>`}
        <div class="message-body">
          ${message.blocks.length
            ? html`<${Blocks} blocks=${message.blocks} surface=${surface} />`
            : message.text && html`<div class="block text">${mrkdwn(message.text, surface)}</div>`}
          ${message.attachments.map(
            (attached) => html`
              <div class="attachment" style=${attached.color ? { borderColor: attached.color } : {}}>
                ${attached.blocks ? html`<${Blocks} blocks=${attached.blocks} surface=${surface} />` : attached.text && mrkdwn(attached.text, surface)}
              </div>
            `,
          )}
          ${isCompact && message.edited_ts && html`<span class="edited">(edited)</span>`}
        </div>
        ${replies.length > 0 &&
        html`<button type="button" class="thread-link" onClick=${() => openThread(message.ts)}>
          ${[...new Set(replies.map((reply) => reply.user))].slice(0, 3).map((user) => html`<${Avatar} ws=${ws} id=${user} size="tiny" />`)}
          ${replies.length === 1 ? "1 reply" : `${replies.length} replies`}
          <span class="thread-last">last ${relative(new Date(Number(replies.at(-1).ts) * 1000), new Date(ws.now()))}</span>
        </button>`}
      </div>
      ${openThread && !message.to && html`<div class="message-tools">
        <button type="button" class="icon-button" aria-label="Reply in a thread" title="Reply in a thread" onClick=${() => openThread(message.ts)}>
          <${Icon} name="reply" />
        </button>
      </div>`}
    </article>
  `;
}

/** What a screen reader announces for a rewritten message. */
export const heard = (ws, message) => `${ws.nameOf(message.user)}: ${spoken(message.text, { ws })}`;
