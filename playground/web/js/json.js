// Unmodified JSON, with a colour for each type of value.

import { html } from "../vendor/htm-preact-3.1.1.js";

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function Json({ value }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  if (text === undefined || text === "null") return html`<pre class="json" tabindex="0">nothing</pre>`;
  const shown = [];
  let end = 0;
  for (const found of text.matchAll(TOKENS)) {
    shown.push(text.slice(end, found.index));
    const kind = found[2] ? "json-key" : found[1] ? "json-text" : "json-value";
    shown.push(html`<span class=${kind}>${found[1] ?? found[0]}</span>`, found[2] ?? "");
    end = found.index + found[0].length;
  }
  shown.push(text.slice(end));
  return html`<pre class="json" tabindex="0">${shown}</pre>`;
}
