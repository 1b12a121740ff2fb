// Explains what the text in the editor decides: who, what, and every reason.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { usePanel } from "./panel_request.js";

const WHAT = [
  ["request", "requests"],
  ["approve", "approves a request for"],
  ["break_glass", "breaks the glass for"],
];
const DURATIONS = ["15m", "30m", "1h", "2h", "4h", "8h"];

export function Explain({ ws, text, profiles }) {
  const { ask, problem, isBusy } = usePanel("policy");
  const people = ws.cast.map((part) => part.id);
  const [asked, setAsked] = useState({ what: "request", person: people[0], profile: "prod", duration: "1h", requester: people[0] });
  const [answer, setAnswer] = useState(null);
  const change = (changes) => {
    setAsked({ ...asked, ...changes });
    setAnswer(null);
  };
  // The policy may have lost the profile that was chosen.
  const known = profiles ?? [asked.profile];
  const profile = known.includes(asked.profile) ? asked.profile : known[0];
  const explain = async (event) => {
    event.preventDefault();
    const { requester, ...rest } = { ...asked, profile };
    setAnswer(await ask({ do: "explain", text, question: asked.what === "approve" ? { ...rest, requester } : rest }));
  };
  const choose = (label, name, choices, value) => html`
    <label>${label}<select value=${value} onChange=${(event) => change({ [name]: event.target.value })}>
      ${choices.map(([key, shown]) => html`<option key=${key} value=${key}>${shown}</option>`)}
    </select></label>
  `;
  const named = people.map((id) => [id, ws.nameOf(id)]);
  return html`
    <section class="explain" aria-label="Explain a decision">
      <h3 class="account-name">What does it decide?</h3>
      <form class="lab-form explain-form" onSubmit=${explain}>
        ${choose("Who", "person", named, asked.person)}
        ${choose("Does what", "what", WHAT, asked.what)}
        ${choose("Profile", "profile", known.map((each) => [each, each]), profile)}
        ${choose("For how long", "duration", DURATIONS.map((each) => [each, each]), asked.duration)}
        ${asked.what === "approve" && choose("Of whom", "requester", named, asked.requester)}
        <button type="submit" class="button is-wide ${isBusy ? "is-busy" : ""}" aria-disabled=${isBusy}>Explain</button>
      </form>
      <div role="status">${answer && html`<${Decision} answer=${answer} />`}</div>
      ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
    </section>
  `;
}

const Decision = ({ answer }) => html`
  <div class="decision ${answer.is_allowed ? "is-good" : "is-bad"}">
    <p><strong>${answer.is_allowed ? "Allowed" : "Refused"}</strong>${answer.rule ? html`, by the rule <code>${answer.rule}</code>` : ": no rule decides"}</p>
    <ul>
      ${answer.conditions.map((each, at) => html`<li key=${at} class=${each.is_met ? "is-met" : "is-unmet"}><span class="hearable">${each.is_met ? "met" : "not met"}: </span>${each.text}</li>`)}
    </ul>
    ${answer.more.map((each, at) => html`<p key=${at} class="decision-more">${each}</p>`)}
  </div>
`;
