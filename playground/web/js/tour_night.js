// The tour's night shift: who is on call is paged and decides, a request escalates, and the right ends with the shift.

import { approvable } from "./race.js";
import { post } from "./server.js";
import { aroundIn, toHandOver } from "./shifts.js";

const PROFILE = "checkout";
const ASK = `/access ${PROFILE} 1h INC-14: payments hang`;
const GLASS = `/breakglass ${PROFILE} incident 1h INC-15: payments hang again`;
const ESCALATES_AFTER_S = 600;
const RECENT_MS = 3_600_000;

/** The steps; none without the schedules of the shipped policy. The functions are the tour's own. */
export function nightSteps(ws, { asks, access, incidents, first, writing, showing }) {
  const [primary, secondary] = [aroundIn(ws, "primary"), aroundIn(ws, "secondary")];
  if (!primary || !secondary) return [];
  const [decides, next] = [primary.now.person, secondary.now.person];
  const waits = () => approvable(ws, access, PROFILE);
  const beside = (move) => ({ ...move, run: (stage, panes) => (stage.openOnCall(), move.run(stage, panes)) });
  const ask = beside(writing(0, asks, access, ASK, `Write it for ${first(asks)}`));
  const askAgain = { ...ask, label: "Write a new request", note: "Nothing waits for approval now." };
  const wasHandedOver = primary.before && ws.now() - primary.now.starts < RECENT_MS;
  const left = wasHandedOver ? primary.before.person : decides;

  return [
    {
      key: "night",
      title: "Request access at night",
      text: `Who decides on ${PROFILE}? The schedule says who: ${first(decides)} is on call now. ${first(asks)} requests it, and the pager rings for ${first(decides)}.`,
      next: () => ask,
      isDone: (seen) => seen.has(`request_submitted ${PROFILE}`),
    },
    {
      key: "escalate",
      title: "Nobody answers",
      text: `Press Acknowledge in the pager, and look at the card. But nobody decides. After 10 minutes the request escalates: ${first(next)}, the secondary on call, is notified, and may decide from then on.`,
      next: () => (waits() ? beside({ label: "Move the clock by 10 minutes", run: () => post("/page/clock", { seconds: ESCALATES_AFTER_S }) }) : askAgain),
      isDone: (seen) => seen.has(`request_escalated ${PROFILE}`),
    },
    {
      key: "on-call",
      title: "Approve on call",
      text: `Press Approve as ${first(next)}. It counts because the schedule says so at this moment: the audit entry, under the hood, keeps the schedule and the shift.`,
      next: () => showing(1, next, waits) ?? askAgain,
      isDone: (seen) => seen.has(`request_approved ${PROFILE}`),
    },
    {
      key: "hand-over",
      title: "Hand over",
      text: `A right to break the glass lasts as long as the shift. Move the clock to the hand-over. Then ${first(left)} breaks the glass for ${PROFILE}, is refused, and reads why.`,
      next: () =>
        wasHandedOver
          ? beside(writing(0, left, incidents, GLASS, `Write it for ${first(left)}`))
          : beside({ label: "Move the clock to the hand-over", run: () => toHandOver(ws)() }),
      isDone: (seen) => seen.has(`invoke_refused ${PROFILE}`),
    },
  ];
}
