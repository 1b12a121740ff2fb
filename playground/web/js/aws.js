// "AWS (pretend)": who holds which permission now, what just happened, an outage, and what others do there by hand.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { dayAndTime, fill, isSameDay, relative, timeOf } from "./dates.js";
import { Avatar, Icon } from "./icons.js";
import { post } from "./server.js";

const MOST_SHOWN = 8;
const CHANGES = { give: "being added", take: "being removed" };

/** The accounts that the panel shows, each with what is held there. */
function accountsOf(aws) {
  const accounts = new Map();
  const put = ({ account, account_name }) => {
    if (!accounts.has(account)) accounts.set(account, { account, name: account_name, held: [] });
    return accounts.get(account);
  };
  aws.permissions.forEach(put);
  for (const held of aws.held) put(held).held.push(held);
  return [...accounts.values()];
}

function whenOf(ws, at) {
  const now = new Date(ws.now());
  return isSameDay(at, now) ? timeOf(at) : `${fill("{date_short_pretty}", at, now)}, ${timeOf(at)}`;
}

export const countHeld = (ws) => ws.aws.held.filter((each) => each.since).length;

export function AwsPanel({ ws, close }) {
  const { aws } = ws;
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const perform = async (asked) => {
    if (isBusy) return;
    setBusy(true);
    setProblem(null);
    try {
      await post("/page/aws", asked);
    } catch (error) {
      setProblem(error.message);
    }
    setBusy(false);
  };
  return html`
    <section class="aws" aria-label="AWS (pretend)">
      <header class="side-head">
        <${Icon} name="cloud" />
        <h2>AWS <span class="aws-pretend">(pretend)</span></h2>
        <button type="button" class="switch ${aws.is_out ? "is-on" : ""}" role="switch" aria-checked=${aws.is_out} aria-disabled=${isBusy} title="In an outage, AWS doesn't answer Countersign" onClick=${() => perform({ do: "outage", is_out: !aws.is_out })}>
          Outage<span class="switch-track" aria-hidden="true"></span>
        </button>
        <button type="button" class="icon-button" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <div class="aws-body" tabindex="0" role="region" aria-label="Who holds what">
        ${aws.is_out && html`<p class="aws-outage"><${Icon} name="alert" />AWS doesn't answer. Countersign opens and closes nothing until you switch this off.</p>`}
        ${accountsOf(aws).map((each) => html`<${Account} key=${each.account} ws=${ws} account=${each} isBusy=${isBusy} perform=${perform} />`)}
        <${Happened} ws=${ws} />
        ${ws.trail.length > 0 && html`<${Trail} ws=${ws} />`}
        <${ByHand} ws=${ws} isBusy=${isBusy} perform=${perform} />
        ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
      </div>
      <${Announcer} ws=${ws} />
    </section>
  `;
}

const Account = ({ ws, account, isBusy, perform }) => html`
  <section class="account" aria-label="${account.name} account">
    <h3 class="account-name">${account.name}<span class="account-id">${account.account}</span></h3>
    ${account.held.length
      ? html`<ul>${account.held.map((held) => html`<${Held} key=${held.right} ws=${ws} held=${held} isBusy=${isBusy} perform=${perform} />`)}</ul>`
      : html`<p class="account-empty">Nobody has an assignment.</p>`}
  </section>
`;

function Held({ ws, held, isBusy, perform }) {
  const name = ws.nameOf(held.principal);
  const since = held.since && new Date(held.since);
  return html`
    <li class="held ${held.change ? `is-${held.change}` : ""}">
      ${ws.person(held.principal) ? html`<${Avatar} ws=${ws} id=${held.principal} size="small" />` : html`<span class="avatar small is-unknown" aria-hidden="true">?</span>`}
      <span class="held-text">
        <strong>${name}</strong>
        <span class="held-permission">${held.permission}</span>
        <span class="held-since">
          ${since && html`<span title=${dayAndTime(since)}>since ${whenOf(ws, since)} · ${relative(since, new Date(ws.now()))}</span>`}
          ${held.is_by_hand && html`<span class="tag">given by somebody else</span>`}
          ${held.change && html`<span class="tag is-moving">${CHANGES[held.change]}…</span>`}
        </span>
      </span>
      ${since &&
      html`<button type="button" class="icon-button" aria-disabled=${isBusy} aria-label="Remove ${held.permission} from ${name} by hand" title="Remove by hand, past Countersign" onClick=${(event) => {
        // The button goes with what it removes; the focus stays in the panel.
        event.currentTarget.closest(".aws-body").focus();
        perform({ do: "remove", right: held.right });
      }}>
        <${Icon} name="trash" />
      </button>`}
    </li>
  `;
}

function describe(ws, { kind, right, is_by_hand: isByHand }) {
  if (kind === "outage_began") return "The outage began";
  if (kind === "outage_ended") return "The outage ended";
  const [name, what] = [ws.nameOf(right.principal), `${right.permission} in ${right.account_name}`];
  const who = isByHand ? ", by somebody else" : "";
  return kind === "added" ? `${name} got ${what}${who}` : `${name} no longer has ${what}${who}`;
}

/** What happened since the playground began, not in the week before it. */
const justHappened = (ws) => ws.aws.happened.filter((each) => Date.parse(each.at) > ws.playground.began * 1000).slice(0, MOST_SHOWN);

const Happened = ({ ws }) => html`
  <section aria-label="What just happened in AWS">
    <h3 class="account-name">What just happened</h3>
    ${justHappened(ws).length
      ? html`<ol class="happened">
          ${justHappened(ws).map((each) => html`
            <li key="${each.at} ${each.kind} ${each.right?.right}" class="is-${each.kind}">
              <span>${describe(ws, each)}</span><span class="happened-at">${whenOf(ws, new Date(each.at))}</span>
            </li>
          `)}
        </ol>`
      : html`<p class="account-empty">Nothing yet.${!ws.aws.held.length && " Approve a request for prod, and watch."}</p>`}
  </section>
`;

/** What was called with people's credentials, and how CloudTrail tells whose they were. */
const Trail = ({ ws }) => html`
  <section aria-label="Calls of AWS">
    <h3 class="account-name">Calls, as CloudTrail shows them</h3>
    <ol class="happened">
      ${ws.trail.map((call, at) => html`
        <li key="${call.at} ${at}" class="is-${call.error ? "refused" : "called"}">
          <span>
            ${call.name} ${call.name === "AssumeRole" ? `of ${call.role} for ${call.session}` : `by ${call.role}/${call.session}`}${call.error && html`: <strong>${call.error}</strong>`}
            ${call.source_identity && html`<span class="trail-identity">${call.source_identity}</span>`}
          </span>
          <span class="happened-at">${whenOf(ws, new Date(call.at))}</span>
        </li>
      `)}
    </ol>
  </section>
`;

/** Says what happens to somebody who can't see it, and stays silent about the past. */
function Announcer({ ws }) {
  const [last] = ws.aws.happened;
  const [text, setText] = useState("");
  const first = useRef(true);
  useEffect(() => {
    if (!first.current && last) setText(`AWS: ${describe(ws, last)}`);
    first.current = false;
  }, [last?.at, last?.kind]);
  return html`<p class="hearable" role="status">${text}</p>`;
}

function ByHand({ ws, isBusy, perform }) {
  const people = ws.cast.map((part) => part.id);
  const [person, setPerson] = useState(people[0]);
  const [index, setIndex] = useState(0);
  const { account, permission } = ws.aws.permissions[index];
  const add = (event) => {
    event.preventDefault();
    perform({ do: "add", person, account, permission });
  };
  return html`
    <details class="by-hand">
      <summary>Act as somebody else in AWS</summary>
      <form class="by-hand-form" onSubmit=${add}>
        <p class="panel-about">Countersign leaves alone what others give, and reports what they remove.</p>
        <label>Person<select value=${person} onChange=${(event) => setPerson(event.target.value)}>
          ${people.map((id) => html`<option key=${id} value=${id}>${ws.nameOf(id)}</option>`)}
        </select></label>
        <label>Permission<select value=${index} onChange=${(event) => setIndex(Number(event.target.value))}>
          ${ws.aws.permissions.map((each, at) => html`<option key=${at} value=${at}>${each.account_name}: ${each.permission}</option>`)}
        </select></label>
        <button type="submit" class="button" aria-disabled=${isBusy}>Give it by hand</button>
      </form>
    </details>
  `;
}
