// "Race": two real presses of one button at the same moment, who won, and what each of them read.

import { html, useState } from "../vendor/htm-preact-3.1.1.js";
import { Avatar, Icon } from "./icons.js";
import { mrkdwn } from "./mrkdwn.js";
import { ManyRaces } from "./races.js";
import { act, post } from "./server.js";
import { ToolPanel } from "./tool_panel.js";

const ASK = { act: "command", text: "/access prod 1h Deploy the fix for INC-12" };

/** The newest card that can be approved, of any profile or of this one: `{message, block, element}`, or undefined. */
export const approvable = (ws, channel, profile) => findButton(ws, (each) => each.style === "primary" && each.text.text === "Approve", channel, profile);

/** The newest button of this kind in a message for everybody, outside of threads: `{message, block, element}`, or undefined. */
export function findButton(ws, isIt, channel, profile) {
  const isCard = (message) => message.to === null && (message.thread_ts === null || message.thread_ts === message.ts);
  const isOfProfile = (message) => !profile || JSON.stringify(message.blocks).includes(`\`${profile}\``);
  const found = [];
  for (const messages of channel ? [ws.messages.get(channel) ?? []] : ws.messages.values()) {
    for (const message of messages.filter((each) => isCard(each) && isOfProfile(each))) {
      for (const block of blocksOf(message).filter((each) => each.type === "actions")) {
        const element = block.elements.find((each) => each.type === "button" && isIt(each));
        if (element) found.push({ message, block, element });
      }
    }
  }
  return found.sort((a, b) => Number(a.message.ts) - Number(b.message.ts)).at(-1);
}

const blocksOf = (message) => [...message.blocks, ...message.attachments.flatMap((each) => each.blocks ?? [])];

export function Race({ ws, evidence }) {
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
      setResult({ ...(await post("/page/race", { channel: message.channel, ts: message.ts, ...button, people })), card: message });
      evidence.see("raced");
    });
  const ask = () =>
    doing(() => {
      setResult(null);
      return act({ ...ASK, person: ws.cast[0].id, channel: ws.channelsOf(ws.cast[0].id)[0].id });
    });
  const target = approvable(ws);
  const names = people.map((id) => ws.nameOf(id).split(" ")[0]);
  const askFirst = html`<button type="button" class="button is-wide" disabled=${isBusy} onClick=${ask}>Request prod as ${ws.nameOf(ws.cast[0].id).split(" ")[0]}</button>`;
  return html`
    <${ToolPanel} tool="race" icon="bolt" text="Race" title="Press Approve as both at once" onOpen=${() => setResult(null)}>
      ${() => html`
        <p class="panel-title">Two approvers, one moment</p>
        ${result
          ? html`<${Result} ws=${ws} result=${result} />${askFirst}`
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
                ${askFirst}
              `}
        ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
        <${ManyRaces} ws=${ws} evidence=${evidence} />
      `}
    <//>
  `;
}

function Result({ ws, result }) {
  const slowest = Math.max(...result.lanes.map((each) => each.seconds));
  return html`
    <ol class="lanes" role="status">
      ${result.lanes.map((lane) => html`<${Lane} key=${lane.person} ws=${ws} lane=${lane} slowest=${slowest} read=${readBy(ws, lane.person, result)} />`)}
    </ol>
  `;
}

/** What this person read since: the answer that only they see, or else the card as it is now. */
function readBy(ws, person, { card, since }) {
  const messages = ws.messagesFor(person, card.channel);
  const answer = messages.filter((each) => each.to === person && Number(each.ts) > since).at(-1);
  return answer ?? messages.find((each) => each.ts === card.ts);
}

function Lane({ ws, lane, slowest, read }) {
  const said = {
    request_approved: "approved it",
    approval_added: "gave one of the approvals",
    approve_refused: "came second",
  };
  const what = lane.failure ? `got no answer (${lane.failure})` : (said[lane.event] ?? "changed nothing");
  return html`
    <li class="lane ${lane.was_refused ? "" : "is-winner"}">
      <${Avatar} ws=${ws} id=${lane.person} size="small" />
      <span class="lane-text"><strong>${ws.nameOf(lane.person)}</strong> ${what}</span>
      <span class="lane-time">${Math.max(1, Math.round(lane.seconds * 1000))} ms</span>
      ${read && html`<p class="lane-read"><span class="lane-reads">reads</span> ${mrkdwn(read.text, { ws, person: lane.person })}</p>`}
      <span class="lane-bar" style=${{ width: `${Math.max(4, (lane.seconds / slowest) * 100)}%` }}></span>
    </li>
  `;
}
