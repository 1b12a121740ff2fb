// The confirmation dialog that an app can put before an action.

import { createContext, html, useContext, useEffect, useLayoutEffect, useRef } from "../vendor/htm-preact-3.1.1.js";
import { keepFocus } from "./focus.js";
import { textObject } from "./mrkdwn.js";

/** Where a pane shows dialogs above its conversation. */
export const Overlay = createContext(null);

export function Confirm({ confirm, surface, onYes, onNo }) {
  const show = useContext(Overlay);
  useEffect(() => {
    const asking = html`<${Asking} confirm=${confirm} surface=${surface} onYes=${onYes} onNo=${onNo} />`;
    show(asking);
    return () => show(null);
  }, []);
  return null;
}

function Asking({ confirm, surface, onYes, onNo }) {
  const box = useRef(null);
  // Before the browser paints, as in modal.js.
  useLayoutEffect(() => keepFocus(box.current, { first: ".confirm-yes", onEscape: onNo }), []);
  const isDanger = confirm.style === "danger";
  return html`
    <div class="veil is-question">
      <div ref=${box} class="dialog is-small" role="alertdialog" aria-modal="true" aria-labelledby="ask-${surface.id}" aria-describedby="why-${surface.id}">
        <h2 id="ask-${surface.id}" class="dialog-title">${textObject(confirm.title)}</h2>
        <div id="why-${surface.id}" class="dialog-body text">${textObject(confirm.text, surface)}</div>
        <footer class="dialog-foot">
          <button type="button" class="button" onClick=${onNo}>${textObject(confirm.deny)}</button>
          <button type="button" class="button confirm-yes ${isDanger ? "danger" : "primary"}" onClick=${onYes}>${textObject(confirm.confirm)}</button>
        </footer>
      </div>
    </div>
  `;
}
