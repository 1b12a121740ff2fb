// "Tamper": change a record in the store's file, see it refused in Slack, find it by verifying, and put it back.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { timeWithSeconds } from "./dates.js";
import { Icon } from "./icons.js";
import { mrkdwn } from "./mrkdwn.js";
import { usePanel } from "./panel_request.js";
import { tryAct } from "./pressing.js";
import { findButton } from "./race.js";

const KINDS = { requests: "Request", break_glass: "Break-glass", grants: "Access" };
const CHAINS = { requests: "REQUEST", break_glass: "BREAKGLASS", grants: "GRANT" };

const keyOf = (record) => `${record.table} ${record.id}`;

export function Tamper({ ws, evidence }) {
  const { ask, problem, isBusy } = usePanel("tamper");
  // A list that is fetched anew meanwhile must not swallow a press.
  const refresh = usePanel("tamper");
  const { tampered, problem: elsewhere } = ws.panels.tamper;
  const [records, setRecords] = useState(null);
  const [chosen, setChosen] = useState(null);
  const [kind, setKind] = useState(null);
  const [report, setReport] = useState(null);
  const look = async (asked) => {
    const answer = await ask(asked);
    if (answer) setRecords(answer.records);
  };
  useEffect(() => {
    refresh.ask({ do: "show" }).then((answer) => answer && setRecords(answer.records));
  }, [evidence.last, tampered.length]);

  const free = (records ?? []).filter((record) => !tampered.some((each) => keyOf(each) === keyOf(record)));
  const record = free.find((each) => keyOf(each) === chosen) ?? free[0];
  const change = record?.changes.find((each) => each.change === kind) ?? record?.changes[0];
  const tamper = (event) => {
    event.preventDefault();
    setReport(null);
    look({ do: "change", table: record.table, id: record.id, change: change.change });
  };
  const verify = async () => setReport(await ask({ do: "verify" }));
  return html`
    <p class="panel-about">Change a record in the store's file, past Countersign, as somebody could who has the database. Then press a button on its card, and verify the trail.</p>
    ${elsewhere && html`<p class="note-box">${elsewhere}</p>`}
    ${tampered.length > 0 && html`<${Tampered} ws=${ws} tampered=${tampered} isBusy=${isBusy} putBack=${() => look({ do: "put_back" })} />`}
    ${record && html`
      <form class="lab-form" onSubmit=${tamper}>
        <label>Record<select value=${keyOf(record)} onChange=${(event) => setChosen(event.target.value)}>
          ${free.map((each) => html`<option key=${keyOf(each)} value=${keyOf(each)}>${nameOf(ws, each)} (${each.status})</option>`)}
        </select></label>
        ${record.justification && html`<p class="panel-about">“${record.justification}”</p>`}
        <fieldset class="choices">
          <legend>What to change</legend>
          ${record.changes.map((each) => html`
            <label key=${each.change} class="choice">
              <input type="radio" name="change" value=${each.change} checked=${each === change} onChange=${() => setKind(each.change)} />
              <span>${each.label}<span class="choice-after">${each.before} → ${each.after}</span></span>
            </label>
          `)}
        </fieldset>
        <button type="submit" class="button danger is-wide" aria-disabled=${isBusy}>Change it in the file</button>
      </form>
    `}
    ${records && !elsewhere && !record && !tampered.length && html`<p class="account-empty">There are no records yet. Request access in a pane.</p>`}
    <button type="button" class="button is-wide ${isBusy ? "is-busy" : ""}" aria-disabled=${isBusy} onClick=${verify}><${Icon} name="check" />Verify the audit trail</button>
    <div role="status">${report && html`<${Report} report=${report} />`}</div>
    ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
  `;
}

const nameOf = (ws, record) => `${KINDS[record.table]} of ${ws.nameOf(record.person)} for ${record.profile}`;

const Tampered = ({ ws, tampered, isBusy, putBack }) => html`
  <section class="tampered" aria-label="Changed behind Countersign's back">
    <h3 class="account-name">Changed behind Countersign's back</h3>
    <ul>
      ${tampered.map((each) => html`<${Changed} key=${keyOf(each)} ws=${ws} changed=${each} />`)}
    </ul>
    <button type="button" class="button is-wide" aria-disabled=${isBusy} onClick=${putBack}>Put it back</button>
  </section>
`;

/** One changed record, with its card's button to press, and what people read since. */
function Changed({ ws, changed }) {
  const [press, setPress] = useState(null);
  const [problem, setProblem] = useState(null);
  const person = ws.playground.approvers[0];
  const found = findButton(ws, (each) => each.value === changed.id && each.style === "primary");
  const [name] = ws.nameOf(person).split(" ");
  const tryIt = async () => {
    const { message, block, element } = found;
    setPress({ person, since: (ws.now() - 1000) / 1000 });
    setProblem(null);
    const button = { block_id: block.block_id, action_id: element.action_id, value: element.value };
    await tryAct({ act: "press", person, channel: message.channel, ts: message.ts, ...button }, setProblem);
  };
  const all = [...ws.messages.values()].flat();
  const read = press && all.filter((each) => each.to === press.person && Number(each.ts) > press.since).at(-1);
  const chain = `${CHAINS[changed.table]}#${changed.id}`;
  const alarm = all.filter((each) => each.to === null && each.text.includes(chain) && each.text.startsWith(":rotating_light:")).at(-1);
  return html`
    <li>
      <strong>${changed.label}</strong>
      <span class="choice-after">${changed.before} → ${changed.after}</span>
      <code class="chain">${chain}</code>
      ${found && html`<button type="button" class="button" onClick=${tryIt}>Press ${found.element.text.text} as ${name}</button>`}
      ${!found && changed.table !== "grants" && html`<p class="panel-about">Now press a button on its card.</p>`}
      ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
      <div role="status">
        ${read && html`<blockquote class="read"><span class="read-who">${name} reads</span>${mrkdwn(read.text, { ws, person })}</blockquote>`}
        ${alarm && html`<blockquote class="read"><span class="read-who">#${ws.channels.get(alarm.channel)?.name} reads, ${timeWithSeconds(new Date(Number(alarm.ts) * 1000))}</span>${mrkdwn(alarm.text, { ws, person: null })}</blockquote>`}
      </div>
    </li>
  `;
}

const plural = (count, one, many) => `${count.toLocaleString()} ${count === 1 ? one : many}`;

/** What \`countersign audit verify\` prints. */
function Report({ report }) {
  const found = report.findings.length + report.more;
  const box = useRef(null);
  useEffect(() => box.current.scrollIntoView({ block: "nearest" }), [report]);
  const outcome = found ? plural(found, "finding", "findings") : "no tampering found";
  return html`
    <div ref=${box} class="report ${found ? "is-bad" : "is-good"}" tabindex="0" role="region" aria-label="What the verification found">
      <p class="report-line is-command">$ countersign audit verify</p>
      ${report.findings.map((each, at) => html`<p key=${at} class="report-line"><strong>${each.chain}: ${each.kind}:</strong> ${each.text}</p>`)}
      ${report.more > 0 && html`<p class="report-line">and ${report.more} more</p>`}
      <p class="report-line">checked ${plural(report.records, "record", "records")} and ${plural(report.entries, "entry", "entries")}: ${outcome}</p>
      <p class="report-line">took ${Math.max(1, Math.round(report.seconds * 1000))} ms</p>
    </div>
  `;
}
