// Under the hood: what the last action sent, how it was answered, which calls the bot made, and what the stores say now.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.js";
import { dayAndTime, length, timeWithSeconds } from "./dates.js";
import { Icon } from "./icons.js";
import { Json } from "./json.js";

const KINDS = { slash_commands: "Slash command", interactive: "Interaction", events_api: "Event" };
const RECORDS = { request: "Request", break_glass: "Break-glass event", grant: "Grant" };
const PATIENCE_S = 3;

export function Hood({ ws, evidence, close }) {
  const [number, setNumber] = useState(null);
  const [earlier, setEarlier] = useState(null);
  const last = evidence.last;
  useEffect(() => {
    if (number === null || number === last?.number) return setEarlier(null);
    evidence.find(number).then(setEarlier, () => setNumber(null));
    return undefined;
  }, [number, last?.number]);
  const act = number === null || number === last?.number ? last : earlier;
  const shown = number ?? last?.number ?? 0;
  const go = (to) => setNumber(to >= (last?.number ?? 0) ? null : Math.max(1, to));
  return html`
    <aside class="hood" aria-label="Under the hood">
      <header class="side-head">
        <h2>Under the hood</h2>
        ${last?.number && html`
          <div class="hood-steps">
            <button type="button" class="icon-button" aria-label="The action before" disabled=${shown <= Math.max(1, last.number - 49)} onClick=${() => go(shown - 1)}><${Icon} name="back" /></button>
            <span>${shown} of ${last.number}</span>
            <button type="button" class="icon-button" aria-label="The action after" disabled=${shown >= last.number} onClick=${() => go(shown + 1)}><${Icon} name="forward" /></button>
          </div>
        `}
        <button type="button" class="icon-button" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <div class="hood-body" tabindex="0" role="region" aria-label="The action">
        ${act?.number ? html`<${Act} key=${act.number} ws=${ws} act=${act} />` : html`<p class="empty">Do something in a pane: each action shows here what went over the wire and what was recorded.</p>`}
      </div>
    </aside>
  `;
}

const Act = ({ ws, act }) => html`
  <p class="hood-title">${act.title}</p>
  <p class="hood-about">${act.people.map((id) => ws.nameOf(id)).join(" and ") || "The clock"} · ${timeWithSeconds(new Date(act.at))}</p>
  ${act.interactions.map((interaction, index) => html`<${Interaction} key=${index} ws=${ws} interaction=${interaction} />`)}
  <${Calls} calls=${act.calls} />
  ${(act.records ?? []).map((found) => html`<${RecordCard} key=${found.record.id} ws=${ws} found=${found} />`)}
  <${Entries} ws=${ws} entries=${act.entries ?? []} />
`;

function Interaction({ ws, interaction }) {
  const { payload, seconds, status, failure, errors, body } = interaction;
  const user = payload.user_id ?? payload.user?.id ?? payload.event?.user;
  const milliseconds = Math.max(1, Math.round(seconds * 1000));
  const errorText = Object.entries(errors ?? {}).map(([field, text]) => `${field}: ${text}`).join(", ");
  return html`
    <section class="card">
      <h3 class="card-title">${KINDS[interaction.kind]}<span class="card-side">${payload.type ?? payload.command} · ${ws.nameOf(user)}</span></h3>
      <div class="ack ${failure ? "is-bad" : ""}">
        <span>${failure ? failure : `Acknowledged, HTTP ${status}`}</span><span class="ack-time">${milliseconds} ms</span>
        <span class="ack-bar" aria-hidden="true"><span style=${{ width: `${Math.min(100, Math.max(1, (seconds / PATIENCE_S) * 100))}%` }}></span></span>
        <span class="ack-limit">of the 3 s that Slack waits</span>
      </div>
      ${errorText && html`<p class="card-note">Shown in the form: ${errorText}</p>`}
      <details><summary>Payload</summary><${Json} value=${payload} /></details>
      ${body && html`<details><summary>Answer</summary><${Json} value=${parsed(body)} /></details>`}
    </section>
  `;
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

function Calls({ calls }) {
  if (!calls.length) return null;
  return html`
    <section class="card">
      <h3 class="card-title">Calls of Slack's API<span class="card-side">${calls.length}</span></h3>
      ${calls.map((call, index) => html`
        <details key=${index} class="call">
          <summary><code>${call.method}</code><span class="call-status ${call.answer?.ok ? "" : "is-bad"}">${call.answer?.ok ? "ok" : (call.answer?.error ?? call.status ?? "no answer")}</span></summary>
          <p class="json-name">Sent</p><${Json} value=${call.arguments} />
          <p class="json-name">Answered</p><${Json} value=${call.answer} />
        </details>
      `)}
    </section>
  `;
}

function RecordCard({ ws, found }) {
  const { record, history } = found;
  const person = record.requester ?? record.invoker ?? record.grantee;
  return html`
    <section class="card">
      <h3 class="card-title">
        ${RECORDS[found.kind] ?? "Record"} <code>${record.id}</code>
        <span class="status is-${record.status}">${record.status}</span>
      </h3>
      <p class="card-note">${ws.nameOf(person)} · <strong>${record.profile}</strong> for ${length(record.duration / 1e9)}</p>
      <ol class="history">
        ${history.map((entry) => html`
          <li key=${entry.seq}>
            <span class="history-what">${entry.event.replaceAll("_", " ")}</span>
            <span class="history-who">${actorName(ws, entry.actor)}</span>
            <span class="history-when" title=${dayAndTime(new Date(entry.at))}>${timeWithSeconds(new Date(entry.at))}</span>
            <span class="history-seal" title="Sealed to the entry before: ${entry.digest}">${seal(entry.previous)} → ${seal(entry.digest)}</span>
          </li>
        `)}
      </ol>
      <details><summary>Record, version ${record.updated_at.slice(11, 26)}</summary><${Json} value=${record} /></details>
    </section>
  `;
}

function Entries({ ws, entries }) {
  if (!entries.length) return html`<p class="card-note is-alone">No audit entry: this action changed nothing.</p>`;
  return html`
    <section class="card">
      <h3 class="card-title">Audit entries<span class="card-side">${entries.length}</span></h3>
      ${entries.map((entry) => html`
        <details key="${entry.chain} ${entry.seq}" class="call">
          <summary>
            <span class="entry-text">${actorName(ws, entry.actor)}: ${entry.event.replaceAll("_", " ")}</span>
            <span class="call-status ${entry.outcome === "refused" ? "is-bad" : ""}">${entry.outcome}</span>
          </summary>
          <${Json} value=${entry} />
        </details>
      `)}
    </section>
  `;
}

const seal = (digest) => (digest ? digest.slice(0, 6) : "start");

function actorName(ws, actor) {
  if (actor === "clock") return "the clock";
  return actor.startsWith("policy:") ? `rule ${actor.slice(7)}` : ws.nameOf(actor);
}
