// "Chaos": trouble that can be switched on, what it does, and one button that puts everything back to normal.

import { html } from "../vendor/htm-preact-3.1.1.js";
import { usePanel } from "./panel_request.js";

const SLACK = [
  { value: "none", text: "Normal" },
  { value: "slow", text: "Slow", about: "Slack answers each call after 4 seconds. It gives an app 3 seconds to open a form, so forms don't open. Write the whole line instead, such as /access prod 1h and why." },
  { value: "rate_limited", text: "Rate limited", about: "Slack answers 429: try again in 5 seconds. What people whom Countersign knows by now decide is recorded all the same. Cards and messages follow once Slack takes them." },
  { value: "failing", text: "Failing", about: "Slack answers 500 and does nothing. What people whom Countersign knows by now decide is recorded all the same. Cards and messages follow when Slack is back." },
  { value: "silent", text: "No answer", about: "Slack takes the calls and never answers. What people whom Countersign knows by now decide is recorded all the same. Cards and messages follow when Slack is back." },
];
const STORE = [
  { value: "none", text: "Normal" },
  { value: "slow", text: "Slow", about: "The store takes 1.5 seconds for each call. Slack waits 3 seconds for an answer: after 2 of them, people read that nothing is recorded yet, and get the outcome later." },
  { value: "away", text: "Away", about: "The store refuses every call. Nothing can be decided, and people read that nothing was changed." },
];
const MINUTES = [
  { value: -10, text: "10 min behind" },
  { value: 0, text: "Right" },
  { value: 10, text: "10 min ahead" },
];

/** How many things aren't as usual. */
export const countTroubles = (chaos) => chaos.count;

export function Chaos({ ws }) {
  const { ask, problem, isBusy } = usePanel("chaos");
  const { chaos } = ws.panels;
  return html`
    <p class="panel-about">Switch something on, then go on in the panes: what people read meanwhile is there. Everything ends with the playground.</p>
    <${Switches} label="Slack" choices=${SLACK} now=${chaos.slack} choose=${(trouble) => ask({ do: "slack", trouble })} />
    <${Switches} label="The store" choices=${STORE} now=${chaos.store} choose=${(trouble) => ask({ do: "store", trouble })} />
    <${Bot} chaos=${chaos} ask=${ask} isBusy=${isBusy} />
    <${Switches} label="The clock of Countersign's machine" choices=${MINUTES} now=${chaos.minutes} choose=${(minutes) => ask({ do: "clock", minutes })}>
      ${chaos.minutes !== 0 && html`<p class="trouble">Countersign compares its clock with Slack's. Once it notices, it expires nothing and reminds nobody until the clock is right. It notices after three calls to Slack.</p>`}
    <//>
    <button type="button" class="button is-wide ${chaos.count ? "primary" : ""}" aria-disabled=${isBusy || chaos.count === 0} onClick=${() => chaos.count && ask({ do: "normal" })}>Everything back to normal</button>
    <p class="hearable" role="status">${chaos.count ? `${chaos.count} not as usual` : "Everything is as usual"}</p>
    ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
  `;
}

/** One of a few, of which one is always on. */
function Switches({ label, choices, now, choose, children }) {
  const { about } = choices.find((each) => each.value === now) ?? {};
  return html`
    <section class="trouble-of">
      <h3 class="account-name">${label}</h3>
      <div class="switches" role="group" aria-label=${label}>
        ${choices.map((each) => html`
          <button key=${each.value} type="button" class=${each === choices.find((one) => one.text === "Normal" || one.text === "Right") ? "is-usual" : ""} aria-pressed=${each.value === now} onClick=${() => choose(each.value)}>${each.text}</button>
        `)}
      </div>
      ${about && html`<p class="trouble">${about}</p>`}
      ${children}
    </section>
  `;
}

const Bot = ({ chaos, ask, isBusy }) => html`
  <section class="trouble-of">
    <h3 class="account-name">Countersign itself<span class="account-id">${chaos.is_running ? "running" : "killed"}</span></h3>
    <div class="switches">
      <button type="button" class="button ${chaos.is_running ? "danger" : "primary"} ${isBusy ? "is-busy" : ""}" aria-disabled=${isBusy} onClick=${() => ask({ do: chaos.is_running ? "kill" : "start" })}>${chaos.is_running ? "Kill it now" : "Start it again"}</button>
      ${chaos.is_running && html`<button type="button" class="button" aria-pressed=${chaos.is_armed} aria-disabled=${isBusy} onClick=${() => ask({ do: "arm", is_armed: !chaos.is_armed })}>Kill it at the next decision</button>`}
    </div>
    ${chaos.is_armed && html`<p class="trouble">Now request, approve or deny something. Countersign dies when the decision is stored, and before anybody is answered.</p>`}
    ${!chaos.is_running && html`<p class="trouble">Nothing answers Slack now. What was stored is stored: start it again, and it goes on with the cards and messages that are due. A message that it was sending when it died follows within a minute of the playground's time.</p>`}
    <details>
      <summary>What “kill” means here</summary>
      <p class="panel-about">The playground is one process, so the bot is cut off from the store, from Slack and from people in one moment, and its threads end. It finishes nothing. The bot that starts again knows only what is stored. The real tests end a whole process with kill -9.</p>
    </details>
  </section>
`;
