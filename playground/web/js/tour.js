// The guided tour: request, approve, give back, break the glass, work from a terminal. Each step is done once the audit trail says so.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.js";
import { Icon } from "./icons.js";
import { approvable, findButton } from "./race.js";

const LINE = "/access prod 1h Deploy the fix for INC-12";
const ASK_FROM_TERMINAL = 'countersign request prod-admin 30m "INC-12: look at the buckets" --wait';
const GLASS = "/breakglass prod incident 1h INC-13: the database does not answer";

function steps(ws) {
  const [asks, approves] = [ws.cast[0].id, ws.playground.approvers[0]];
  const first = (id) => ws.nameOf(id).split(" ")[0];
  const onCall = ws.cast.find((part) => part.role === "on call")?.id;
  const channel = (name) => [...ws.channels.values()].find((each) => each.name === name)?.id;
  const [access, incidents] = [channel("access-prod"), channel("incidents")];
  const write = (stage, index, person, place, text) => {
    stage.change(index, { person, place, thread: null, drafts: { [`${person} ${place} `]: text } });
    stage.setActive(index);
    setTimeout(() => document.getElementById(`pane-${index}-composer`)?.focus(), 60);
  };
  const type = (stage, text) => {
    stage.change(0, { person: asks, hasTerminal: true, typed: { text } });
    stage.setActive(0);
  };
  return [
    {
      key: "ask",
      title: "Request access",
      text: `${first(asks)} has a fix to deploy. She requests prod for an hour and says why. This line is a slash command; /access alone opens a form.`,
      label: "Write it for her",
      run: (stage) => write(stage, 0, asks, access, LINE),
      after: "Now press Enter.",
      isDone: (seen) => seen.has("request_submitted"),
    },
    {
      key: "approve",
      title: "Approve it",
      text: `The card is in #access-prod, on both screens. ${first(approves)} may approve it; ${first(asks)} may not, because it's her own. Press Approve as ${first(approves)}.`,
      label: `Show me ${first(approves)}'s button`,
      run: (stage, panes) => {
        const index = panes > 1 ? 1 : 0;
        stage.change(index, { person: approves, place: access, thread: null });
        stage.setActive(index);
        setTimeout(() => point(approvable(ws), index), 80);
      },
      isDone: (seen) => seen.has("request_approved"),
    },
    {
      key: "done",
      title: "Use it, and give it back",
      text: `AWS (pretend) now gives ${first(asks)} the permission, and takes it away when the hour is over. She's done before that: press "I'm done" on the card.`,
      label: `Show me ${first(asks)}'s button`,
      run: (stage) => {
        stage.change(0, { person: asks, place: access, thread: null });
        stage.setActive(0);
        setTimeout(() => point(findButton(ws, (element) => element.text.text === "I'm done", access), 0), 80);
      },
      after: "It appears once the access is open.",
      isDone: (seen) => seen.has("grant_ended_early"),
    },
    ...(ws.app.commands.some((command) => command.name === "/breakglass") && onCall
      ? [
          {
            key: "break",
            title: "Break the glass",
            text: `At night, nobody is there to approve. ${first(onCall)} is on call and gets access at once: look at AWS. Everybody sees it, and somebody else has to review it.`,
            label: `Write it for ${first(onCall)}`,
            run: (stage) => write(stage, 0, onCall, incidents, GLASS),
            after: "Now press Enter.",
            isDone: (seen) => seen.has("break_glass_invoked"),
          },
        ]
      : []),
    {
      key: "pair",
      title: "Pair a terminal",
      text: `${first(asks)} works in a terminal, too. countersign login prints a line with a code. She types that line in Slack, and confirms: so the terminal is hers, for 12 hours at most.`,
      label: "Open her terminal",
      run: (stage) => type(stage, "countersign login"),
      after: "Press Enter, then type the line that it prints in Slack.",
      isDone: (seen) => seen.has("device_paired"),
    },
    {
      key: "exec",
      title: "Get credentials that end",
      text: `She requests prod-admin from there, and ${first(approves)} approves as before. Then she lists buckets, with credentials that stop working when her time is over: move the clock, and run it again.`,
      label: "Write it for her",
      run: (stage) => type(stage, ASK_FROM_TERMINAL),
      after: "Press Enter, approve, then run: countersign exec prod-admin -- aws s3 ls",
      isDone: (seen) => seen.has("credentials_issued"),
    },
  ];
}

/** Scroll to the button of this step and focus it. */
function point(found, index) {
  if (!found) return;
  const button = document.querySelector(`[data-pane="${index}"] [data-ts="${found.message.ts}"] [data-action="${found.element.action_id}"]`);
  button?.scrollIntoView({ block: "center" });
  button?.focus();
  button?.classList.add("is-pointed-at");
  setTimeout(() => button?.classList.remove("is-pointed-at"), 4000);
}

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
  // If a later step is done, the earlier ones aren't needed.
  const last = all.findLastIndex((step) => state.done.includes(step.key));
  const done = all.slice(0, last + 1).map((step) => step.key);
  const toggle = () => {
    // Opening it when everything is done starts it again.
    const isAgain = !state.isOpen && done.length === all.length;
    if (isAgain) evidence.seen.clear();
    save({ done: isAgain ? [] : done, isOpen: !state.isOpen });
  };
  return { all, done, isOpen: state.isOpen, toggle, stage };
}

export function Tour({ tour }) {
  const { all, done, isOpen, toggle, stage } = tour;
  const [tried, setTried] = useState(null);
  if (!isOpen) return null;
  const now = all.find((step) => !done.includes(step.key));
  const panes = document.querySelectorAll(".pane").length;
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
      <div role="status">
        ${now
          ? html`<h2 class="tour-title">${now.title}</h2><p>${now.text}</p>`
          : html`<h2 class="tour-title">That's it</h2>
              <p>Now try to break it: press <strong>Race</strong> to approve as two people at once, move the <strong>clock</strong> past a deadline, or switch on an <strong>outage</strong> of AWS. <strong>Under the hood</strong> shows what was sent and sealed.</p>`}
      </div>
      <div class="tour-do">
        ${now && tried === now.key && now.after && html`<span class="tour-after">${now.after}</span>`}
        ${now && html`<button type="button" class="button primary" onClick=${() => {
          setTried(now.key);
          now.run(stage, panes);
        }}>${now.label}</button>`}
      </div>
      <button type="button" class="icon-button" aria-label="Close the tour" title="Close the tour" onClick=${toggle}><${Icon} name="close" /></button>
    </section>
  `;
}
