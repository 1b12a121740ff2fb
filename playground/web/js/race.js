// "Press Approve as both at once": two real presses of one button, and who won.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { Avatar, Icon } from "./icons.js";
import { mrkdwn } from "./mrkdwn.js";
import { act, post } from "./server.js";
import { ToolPanel } from "./tool_panel.js";

const ASK = { act: "command", text: "/access prod 1h Deploy the fix for INC-12" };

/** The newest card that can be approved: `{message, block, element}`, or undefined. */
export const approvable = (ws) => findButton(ws, (each) => each.style === "primary" && each.text.text === "Approve");

/** The newest button of this kind in a message for everybody, there or anywhere: `{message, block, element}`, or undefined. */
export function findButton(ws, isIt, channel) {
  const found = [];
  for (const messages of channel ? [ws.messages.get(channel) ?? []] : ws.messages.values()) {
    for (const message of messages.filter((each) => each.to === null)) {
      for (const block of message.blocks.filter((each) => each.type === "actions")) {
        const element = block.elements.find((each) => each.type === "button" && isIt(each));
        if (element) found.push({ message, block, element });
      }
    }
  }
  return found.sort((a, b) => Number(a.message.ts) - Number(b.message.ts)).at(-1);
}

export function Race({ ws }) {
  const [result, setResult] = useState(null);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const people = ws.playground.approvers;
  const doing = async (work) => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(error.message);
    }
    setBusy(false);
  };
  const run = ({ message, block, element }) =>
    doing(async () => {
      const button = { block_id: block.block_id, action_id: element.action_id, value: element.value };
      setResult(await post("/page/race", { channel: message.channel, ts: message.ts, ...button, people }));
    });
  const ask = () =>
    doing(() => {
      setResult(null);
      return act({ ...ASK, person: ws.cast[0].id, channel: ws.channelsOf(ws.cast[0].id)[0].id });
    });
  const target = approvable(ws);
  const names = people.map((id) => ws.nameOf(id).split(" ")[0]);
  const askFirst = html`<button type="button" class="button" disabled=${isBusy} onClick=${ask}>Request prod as ${ws.nameOf(ws.cast[0].id).split(" ")[0]}</button>`;
  return html`
    <${ToolPanel} icon="bolt" text="Race" title="Press Approve as both at once" onOpen=${() => setResult(null)}>
      ${() => html`
        <p class="panel-title">Two approvers, one moment</p>
        ${result
          ? html`<${Result} ws=${ws} result=${result} /><div class="panel-foot">${askFirst}</div>`
          : target
            ? html`
                <p class="panel-about">${mrkdwn(target.message.text, { ws, person: null })}</p>
                <div class="versus">${people.map((id) => html`<span class="versus-one"><${Avatar} ws=${ws} id=${id} />${ws.nameOf(id)}</span>`)}</div>
                <button type="button" class="button primary is-wide ${isBusy ? "is-busy" : ""}" onClick=${() => !isBusy && run(target)}>
                  <${Icon} name="bolt" />Press Approve as both at once
                </button>
                <p class="panel-about">Two threads wait at a barrier, then each sends its own signed request. The store decides.</p>
              `
            : html`
                <p class="panel-about">Nothing waits for approval right now. When a request is pending, ${names.join(" and ")} can press Approve at the same moment.</p>
                <div class="panel-foot">${askFirst}</div>
              `}
        ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
      `}
    <//>
  `;
}

function Result({ ws, result }) {
  return html`
    <ol class="lanes" role="status">
      ${result.lanes.map((lane) => html`<${Lane} key=${lane.person} ws=${ws} lane=${lane} slowest=${Math.max(...result.lanes.map((each) => each.seconds))} />`)}
    </ol>
  `;
}

function Lane({ ws, lane, slowest }) {
  const said = {
    request_approved: "approved it",
    approval_added: "gave one of the approvals",
    approve_refused: "came second and was told who was first",
  };
  const what = lane.failure ? `got no answer (${lane.failure})` : (said[lane.event] ?? "changed nothing");
  return html`
    <li class="lane ${lane.was_refused ? "" : "is-winner"}">
      <${Avatar} ws=${ws} id=${lane.person} size="small" />
      <span class="lane-text"><strong>${ws.nameOf(lane.person)}</strong> ${what}</span>
      <span class="lane-time">${Math.max(1, Math.round(lane.seconds * 1000))} ms</span>
      <span class="lane-bar" style=${{ width: `${Math.max(4, (lane.seconds / slowest) * 100)}%` }}></span>
    </li>
  `;
}
