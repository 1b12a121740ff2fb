// "100 races": as many real races in a workspace of their own, with a tally that is read from the store.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { Icon } from "./icons.js";
import { post } from "./server.js";

const COUNT = 100;

export function ManyRaces({ ws, evidence }) {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const run = async () => {
    if (isBusy) return;
    setBusy(true);
    setProblem(null);
    ws.races = null;
    try {
      ws.races = await post("/page/races", { count: COUNT });
      evidence.see("raced");
    } catch (error) {
      ws.races = null;
      setProblem(error.message);
    }
    setBusy(false);
  };
  const { races } = ws;
  const isRunning = isBusy || (races !== null && !races.findings);
  return html`
    <section class="many-races" aria-label="100 races">
      ${races && html`<${Tally} ws=${ws} tally=${races} />`}
      <button type="button" class="button is-wide ${isRunning ? "is-busy" : ""}" aria-disabled=${isRunning} onClick=${() => !isRunning && run()}>
        <${Icon} name="bolt" />${isRunning ? "Racing…" : races ? "Another 100 races" : "Run 100 races"}
      </button>
      ${!races && html`<p class="panel-about">In a workspace of their own, so that yours stays tidy: ${COUNT} requests, two presses on each, and then the store is asked. It takes about 15 seconds.</p>`}
      ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
    </section>
  `;
}

function Tally({ ws, tally }) {
  const names = Object.keys(tally.wins).map((id) => ws.nameOf(id).split(" ")[0]);
  const wins = Object.values(tally.wins);
  const isOver = Boolean(tally.findings);
  return html`
    <div class="tally" role="status" aria-live=${isOver ? "polite" : "off"}>
      <p class="tally-count"><strong>${tally.once}</strong> of ${tally.races} races: exactly one decision</p>
      <div class="tally-bar" style=${{ width: `${(tally.races / tally.count) * 100}%` }} aria-hidden="true">
        ${wins.map((won, index) => html`<span class="tally-${index}" style=${{ flexGrow: won }}></span>`)}
      </div>
      <p class="tally-names">${names.map((name, index) => html`<span class="tally-name tally-name-${index}">${name} first: ${wins[index]}</span>`)}</p>
      <dl class="tally-facts">
        <dt>decided twice</dt><dd class=${tally.twice ? "is-bad" : ""}>${tally.twice}</dd>
        <dt>not decided</dt><dd class=${tally.undecided ? "is-bad" : ""}>${tally.undecided}</dd>
        <dt>came second, and read who was first</dt><dd class=${tally.learnt < tally.once ? "is-bad" : ""}>${tally.learnt}</dd>
        <dt>both presses answered, median</dt><dd>${Math.round((tally.median_seconds ?? 0) * 1000)} ms</dd>
      </dl>
      ${isOver &&
      html`<p class="tally-verified ${tally.findings.length ? "is-bad" : ""}">
        ${tally.findings.length ? `The trail has ${tally.findings.length} findings: ${tally.findings[0]}` : html`<${Icon} name="check" />The trail verifies: ${tally.entries} entries, no tampering found`}
      </p>`}
    </div>
  `;
}
