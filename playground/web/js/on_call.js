// "On call": who is on call now and next, until when, what is left of the grace after a hand-over, and the pager.

import { html, useEffect, useReducer } from "../vendor/htm-preact-3.1.1.js";
import { dayAndTime, fill, isSameDay, length, relative, timeOf } from "./dates.js";
import { Avatar, Icon } from "./icons.js";
import { Pager, countOpen } from "./pager.js";
import { usePanel } from "./panel_request.js";
import { Timeline } from "./rota.js";
import { around, toHandOver } from "./shifts.js";

const TICK_MS = 5_000;


function whenOf(ws, at) {
  const [moment, now] = [new Date(at), new Date(ws.now())];
  return isSameDay(moment, now) ? timeOf(moment) : `${fill("{date_short_pretty}", moment, now)}, ${timeOf(moment)}`;
}

export function OnCallTool({ ws, isOpen, toggle }) {
  const open = countOpen(ws);
  const isAway = ws.panels.on_call.is_away;
  const label = `On call: ${open} open ${open === 1 ? "page" : "pages"}${isAway ? ", the schedules are unreachable" : ""}`;
  return html`
    <button type="button" class="tool" data-tool="on-call" aria-pressed=${isOpen} aria-label=${label} onClick=${toggle} title="Who is on call, and the pager">
      <${Icon} name="bell" /><span class="tool-text">On call</span>
      ${(open > 0 || isAway) && html`<span class="badge is-bad">${isAway ? "!" : open}</span>`}
    </button>
  `;
}

export function OnCallPanel({ ws, close }) {
  const { ask, problem, isBusy } = usePanel("on_call");
  const [, tick] = useReducer((count) => count + 1, 0);
  const state = ws.panels.on_call;
  const isShort = state.schedules.some((each) => !around(ws, each).now || !around(ws, each).next);
  useEffect(() => {
    const timer = setInterval(tick, TICK_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    // Time passes without anybody moving the clock, too.
    if (isShort) ask({ do: "look" });
  }, [isShort]);
  return html`
    <section class="on-call" aria-label="On call">
      <header class="side-head">
        <${Icon} name="bell" />
        <h2>On call</h2>
        <button type="button" class="switch ${state.is_away ? "is-on" : ""}" role="switch" aria-checked=${state.is_away} aria-disabled=${isBusy} title="The schedules don't answer Countersign" onClick=${() => ask({ do: "away", is_away: !state.is_away })}>
          Unreachable<span class="switch-track" aria-hidden="true"></span>
        </button>
        <button type="button" class="icon-button" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <div class="aws-body" tabindex="0" role="region" aria-label="Schedules and pager">
        ${state.is_away && html`<${Away} ws=${ws} />`}
        ${state.schedules.map((each) => html`<${Schedule} key=${each.name} ws=${ws} schedule=${each} />`)}
        ${state.schedules.length === 0 && html`<p class="account-empty">The policy has no demo schedule.</p>`}
        <${HandOver} ws=${ws} />
        <${Pager} ws=${ws} />
        ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
      </div>
    </section>
  `;
}

/** What the age of the last answer means for each kind of right. */
function Away({ ws }) {
  const { schedules, approving_seconds: approving, fresh_seconds: fresh } = ws.panels.on_call;
  const answers = schedules.map((each) => Date.parse(each.answered_at)).filter((at) => !Number.isNaN(at));
  const last = answers.length ? Math.min(...answers) : null;
  const holds = (seconds) => last !== null && ws.now() < last + seconds * 1000;
  const until = last !== null && timeOf(new Date(last + approving * 1000));
  return html`
    <div class="aws-outage on-call-away" role="status">
      <${Icon} name="alert" />
      <div>
        <p>The schedules don't answer. ${last === null ? "Countersign has no answer from before." : `The last answer is from ${timeOf(new Date(last))}.`}</p>
        <ul>
          <li>Approving as the person on call: ${holds(approving) ? `the last answer holds until ${until}` : "refused, until they answer"}.</li>
          <li>Breaking the glass as the person on call, and automatic approval: ${holds(fresh) ? "refused in less than a minute" : "refused, because nobody can say who is on call"}.</li>
          <li>People whom a rule names by id or group: as always.</li>
        </ul>
      </div>
    </div>
  `;
}

function Schedule({ ws, schedule }) {
  const { shifts, now, next, leaving } = around(ws, schedule);
  return html`
    <section class="account" aria-label="Schedule ${schedule.name}">
      <h3 class="account-name">${schedule.name}<span class="account-id">on-call:${schedule.name}</span></h3>
      ${now && html`
        <div class="held">
          <${Avatar} ws=${ws} id=${now.person} size="small" />
          <span class="held-text">
            <strong>${ws.nameOf(now.person)}</strong>
            <span class="held-since"><span title=${dayAndTime(new Date(now.ends))}>until ${whenOf(ws, now.ends)} · ${relative(now.ends, ws.now())}</span></span>
            ${leaving && html`<span class="held-since"><span class="tag is-moving">${ws.nameOf(leaving.person)} may still approve for ${length(Math.ceil((leaving.until - ws.now()) / 60_000) * 60)}</span></span>`}
          </span>
        </div>
      `}
      <${Timeline} ws=${ws} shifts=${shifts} />
      ${next && html`<p class="panel-about">Then ${ws.nameOf(next.person)}, from ${whenOf(ws, next.starts)}.</p>`}
    </section>
  `;
}

/** The next hand-over, a press away. */
function HandOver({ ws }) {
  const move = toHandOver(ws);
  return move && html`<button type="button" class="button is-wide" onClick=${move}>Move the clock to the hand-over</button>`;
}
