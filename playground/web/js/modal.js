// Modals, up to three on top of each other: the top one is shown, and those below keep what was typed.

import { html, useLayoutEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { Blocks } from "./blocks.js";
import { keepFocus } from "./focus.js";
import { Icon, Mark } from "./icons.js";
import { textObject } from "./mrkdwn.js";
import { tryAct } from "./pressing.js";
import { useView } from "./view.js";

export const Modals = ({ ws, person, id, isActive }) =>
  ws
    .modalsOf(person)
    .map(
      (view, index, stack) => html`
        <${Modal}
          key=${view.id}
          ws=${ws}
          person=${person}
          view=${view}
          id="${id}-${view.id}"
          depth=${index}
          isTop=${index === stack.length - 1}
          isActive=${isActive}
        />
      `,
    );

function Modal({ ws, person, view, id, depth, isTop, isActive }) {
  const [isSending, setSending] = useState(false);
  const [problem, setProblem] = useState(null);
  const { surface, entered, setErrors } = useView({ ws, person, view, id, notify: setProblem });
  const box = useRef(null);
  const close = () => tryAct({ act: "close", person, view: view.id }, setProblem);
  const latest = useRef(close);
  latest.current = close;

  // A modal that the app opens must not take the focus away from the other pane. Before the browser paints: then it takes
  // the focus away from what the modal covers, and nothing is left to give it back to.
  useLayoutEffect(() => {
    if (!isTop) return undefined;
    const first = view.content.blocks.map((b) => b.element).find((e) => e?.focus_on_load)?.action_id;
    const leave = keepFocus(box.current, {
      first: first ? `[id$="-${CSS.escape(first)}"]` : ".dialog-body :is(input, textarea, button, [tabindex='0'])",
      onEscape: () => latest.current(),
      mayTake: isActive(),
    });
    // On a small screen, the browser shows no more than the field that has the focus: the title is cut off.
    const isTall = box.current.offsetHeight > window.innerHeight;
    if (isActive()) box.current.scrollIntoView({ block: isTall ? "start" : "nearest" });
    return leave;
  }, [isTop]);
  const errorCount = Object.keys(surface.errors).length;
  useLayoutEffect(() => {
    if (!errorCount) return;
    box.current.querySelector('[aria-invalid="true"]')?.focus();
    // What is wrong stands below the field, and may be out of sight although the field isn't.
    box.current.querySelector(".input-error")?.scrollIntoView({ block: "nearest" });
  }, [errorCount]);

  const submit = async (event) => {
    event.preventDefault();
    if (isSending) return;
    setSending(true);
    setProblem(null);
    const answer = await tryAct({ act: "submit", person, view: view.id, typed: entered() }, setProblem);
    setSending(false);
    setErrors(answer?.errors ?? {});
  };
  const { content } = view;
  return html`
    <div class="veil" hidden=${!isTop} inert=${!isTop}>
      <div ref=${box} class="dialog" role="dialog" aria-modal="true" aria-labelledby="${id}-title" tabindex="-1">
        <form class="dialog-form" noValidate onSubmit=${submit}>
        <header class="dialog-head">
          <${Mark} />
          <h2 id="${id}-title" class="dialog-title">${textObject(content.title)}</h2>
          <button type="button" class="icon-button" aria-label=${depth ? "Back" : "Close"} onClick=${close}>
            <${Icon} name=${depth ? "back" : "close"} />
          </button>
        </header>
        <div class="dialog-body">
          ${problem && html`<p class="dialog-problem" role="alert"><${Icon} name="alert" />${problem}</p>`}
          <${Blocks} blocks=${content.blocks} surface=${surface} />
        </div>
        ${(content.submit || content.close) &&
        html`
          <footer class="dialog-foot">
            <button type="button" class="button" onClick=${close}>${content.close ? textObject(content.close) : "Cancel"}</button>
            ${content.submit &&
            html`<button type="submit" class="button primary ${isSending ? "is-busy" : ""}" aria-busy=${isSending ? "true" : null}>
              ${textObject(content.submit)}
            </button>`}
          </footer>
        `}
        <p class="hearable" role="status">${errorCount ? `${errorCount} field${errorCount > 1 ? "s" : ""} to look at.` : ""}</p>
        </form>
      </div>
    </div>
  `;
}
