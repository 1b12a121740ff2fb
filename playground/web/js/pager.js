// The pretend pager: what was paged, for whom, and what its person does about it.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { relative } from "./dates.js";
import { Icon } from "./icons.js";
import { usePanel } from "./panel_request.js";

const MOST_SHOWN = 6;
const STATES = { triggered: "ringing", acknowledged: "acknowledged", resolved: "resolved" };

const pagesOf = (ws) => ws.panels.pager?.pages ?? [];

/** How many pages nobody has resolved. */
export const countOpen = (ws) => pagesOf(ws).filter((page) => page.state !== "resolved").length;

export function Pager({ ws }) {
  const { ask, problem, isBusy } = usePanel("pager");
  const pages = pagesOf(ws).slice(0, MOST_SHOWN);
  return html`
    <section aria-label="Pager">
      <h3 class="account-name">Pager</h3>
      ${pages.length
        ? html`<ul class="pages">${pages.map((page) => html`<${Page} key=${page.key} ws=${ws} page=${page} isBusy=${isBusy} ask=${ask} />`)}</ul>`
        : html`<p class="account-empty">Nobody has been paged.</p>`}
      ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
      <${Announcer} pages=${pages} />
    </section>
  `;
}

function Page({ ws, page, isBusy, ask }) {
  const by = page.person && ws.nameOf(page.person);
  const press = (what) => ask({ do: what, key: page.key });
  return html`
    <li class="page is-${page.state}">
      <p class="page-state"><${Icon} name=${page.state === "triggered" ? "bell" : "check"} />
        <strong>${STATES[page.state]}${page.state === "acknowledged" && by ? ` by ${by}` : ""}</strong>
        <span class="happened-at">${relative(Date.parse(page.changed_at), ws.now())}</span>
      </p>
      <p class="page-text">${page.summary}</p>
      ${page.state !== "resolved" && html`
        <p class="panel-about">${page.paged.length ? `Pages ${page.paged.map((id) => ws.nameOf(id)).join(" and ")}.` : "Nobody is on call."}</p>
        <div class="switches">
          ${page.state === "triggered" && html`<button type="button" class="button primary" aria-disabled=${isBusy} onClick=${() => press("acknowledge")}>Acknowledge</button>`}
          <button type="button" class="button" aria-disabled=${isBusy} onClick=${() => press("resolve")}>Resolve</button>
        </div>
      `}
    </li>
  `;
}

/** Says that a page came to somebody who can't see it, and stays silent about the past. */
function Announcer({ pages }) {
  const [last] = pages;
  const [text, setText] = useState("");
  const first = useRef(true);
  useEffect(() => {
    if (!first.current && last) setText(`Pager: ${last.summary}, ${STATES[last.state]}`);
    first.current = false;
  }, [last?.key, last?.state]);
  return html`<p class="hearable" role="status">${text}</p>`;
}
