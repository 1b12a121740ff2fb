// The guided tour: what it shows now, what is done, and where it goes on. Each step is done once the audit trail says so.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.js";
import { Icon } from "./icons.js";
import { steps } from "./tour_steps.js";

export function useTour(ws, evidence, stage) {
  const key = `countersign:${ws.playground.id}:tour`;
  const [state, setState] = useState(() => {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? { done: [], isOpen: true };
    } catch {
      return { done: [], isOpen: true };
    }
  });
  const save = (next) => {
    setState(next);
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // Without storage, the tour opens again after a reload.
    }
  };
  const all = steps(ws);
  const fresh = all.filter((step) => !state.done.includes(step.key) && step.isDone(evidence.seen)).map((step) => step.key);
  useEffect(() => {
    if (fresh.length) save({ ...state, done: [...state.done, ...fresh] });
  }, [fresh.join()]);
  const done = all.filter((step) => state.done.includes(step.key)).map((step) => step.key);
  const toggle = () => {
    // Opening it when everything is done starts it again.
    const isAgain = !state.isOpen && done.length === all.length;
    if (isAgain) evidence.seen.clear();
    save({ done: isAgain ? [] : done, isOpen: !state.isOpen });
  };
  const skip = (step) => save({ ...state, done: [...done, step.key] });
  return { all, done, isOpen: state.isOpen, toggle, skip, stage };
}

export function Tour({ tour }) {
  const { all, done, isOpen, toggle, skip, stage } = tour;
  const [tried, setTried] = useState(null);
  if (!isOpen) return null;
  const number = all.findIndex((step) => !done.includes(step.key));
  const now = all[number];
  const next = now?.next();
  return html`
    <section class="tour" aria-label="Guided tour">
      <ol class="tour-steps" aria-label="Steps">
        ${all.map((step) => {
          const state = done.includes(step.key) ? "done" : step === now ? "now" : "next";
          return html`<li key=${step.key} class="is-${state}" aria-current=${state === "now" ? "step" : null}>
            <span class="hearable">${step.title}: ${state}</span>
          </li>`;
        })}
      </ol>
      <div class="tour-text" role="status">
        ${now
          ? html`<h2 class="tour-title">${now.title}</h2><p>${next.note && html`<strong>${next.note}</strong> `}${now.text}</p>`
          : html`<h2 class="tour-title">That's it</h2>
              <p>All of it stays: look around as somebody else, change the policy file while the playground runs, or read in <strong>Under the hood</strong> what each press sent and sealed.</p>`}
      </div>
      <div class="tour-do">
        ${now && tried === now.key && next.after && html`<span class="tour-after">${next.after}</span>`}
        ${now && html`<button type="button" class="button primary" onClick=${() => {
          setTried(now.key);
          next.run(stage, document.querySelectorAll(".pane").length);
        }}>${next.label}</button>
        <button type="button" class="button" onClick=${() => skip(now)}>Skip<span class="hearable"> this step: ${now.title}</span></button>`}
      </div>
      <button type="button" class="icon-button tour-close" aria-label="Close the tour" title="Close the tour" onClick=${toggle}><${Icon} name="close" /></button>
    </section>
  `;
}
