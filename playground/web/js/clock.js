// The playground's clock, and the ways to move it forward.

import { html, useEffect, useReducer, useState } from "../vendor/htm-preact-3.1.1.js";
import { dayAndTime, length, timeOf } from "./dates.js";
import { get, post } from "./server.js";
import { ToolPanel } from "./tool_panel.js";

const STEPS = [
  [600, "10 minutes"],
  [3600, "1 hour"],
  [4 * 3600, "4 hours"],
  [86_400, "1 day"],
];
const A_LITTLE_AFTER_S = 2;
const KINDS = { start: "access starts", request: "request expires", access: "access ends", break_glass: "break-glass ends" };

export function Clock({ ws }) {
  const [, tick] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  const [deadlines, setDeadlines] = useState([]);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const look = () =>
    get("/page/deadlines").then((answer) => setDeadlines(answer.deadlines.slice(0, 3)), (error) => setProblem(error.message));
  const move = async (seconds) => {
    if (isBusy) return;
    setBusy(true);
    setProblem(null);
    try {
      await post("/page/clock", { seconds });
      await look();
    } catch (error) {
      setProblem(error.message);
    }
    setBusy(false);
  };
  // Not `disabled` meanwhile: the focus would be lost, and with it the way out by Escape.
  const now = new Date(ws.now());
  const ahead = Math.round((ws.now() - Date.now()) / 1000);
  const secondsTo = (deadline) => Math.max(1, Math.ceil((Date.parse(deadline.at) - ws.now()) / 1000) + A_LITTLE_AFTER_S);
  return html`
    <${ToolPanel} tool="clock" icon="clock" text=${timeOf(now)} label="Clock: ${timeOf(now)}. Move it forward" title="Move the clock forward" onOpen=${look} class="is-clock">
      ${() => html`
        <p class="panel-title">The playground's clock</p>
        <p class="clock-now" role="status">${dayAndTime(now)}${ahead > 60 && html`<span class="clock-ahead">${length(ahead)} ahead of yours</span>`}</p>
        <div class="clock-steps">
          ${STEPS.map(([seconds, name]) => html`<button key=${name} type="button" class="button" aria-disabled=${isBusy} onClick=${() => move(seconds)}>+ ${name}</button>`)}
        </div>
        ${deadlines.length > 0 && html`
          <p class="panel-about">Or jump to the next deadline:</p>
          <ul class="deadlines">
            ${deadlines.map((deadline) => html`
              <li key="${deadline.kind} ${deadline.at}">
                <button type="button" class="deadline" aria-disabled=${isBusy} onClick=${() => move(secondsTo(deadline))}>
                  <span><strong>${deadline.profile}</strong>, ${ws.nameOf(deadline.person)}: ${KINDS[deadline.kind]}</span>
                  <span class="deadline-in">in ${length(secondsTo(deadline))}</span>
                </button>
              </li>
            `)}
          </ul>
        `}
        <p class="panel-about">Time only goes forward. What falls due happens at once: requests expire, access ends, reminders go out.</p>
        ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
      `}
    <//>
  `;
}
