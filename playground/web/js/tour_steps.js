// What the tour shows, step by step. A step always offers something that works now: if its button isn't there, what leads to it.

import { approvable, findButton } from "./race.js";
import { nightSteps } from "./tour_night.js";

const LINE = "/access prod 1h Deploy the fix for INC-12";
const ASK_FROM_TERMINAL = 'countersign request prod-admin 30m "INC-12: look at the buckets" --wait';
const GLASS = "/breakglass prod incident 1h INC-13: the database does not answer";

const startsWith = (text) => (element) => element.text.text.startsWith(text);

export function steps(ws) {
  const [asks, approves] = [ws.cast[0].id, ws.playground.approvers[0]];
  const first = (id) => ws.nameOf(id).split(" ")[0];
  const onCall = ws.cast.find((part) => part.role === "on call")?.id;
  const channel = (name) => [...ws.channels.values()].find((each) => each.name === name)?.id;
  const [access, incidents] = [channel("access-prod"), channel("incidents")];

  /** Write a line for this person, who presses Enter. */
  const writing = (index, person, place, text, label) => ({
    label,
    after: "Now press Enter.",
    run: (stage) => {
      stage.change(index, { person, place, thread: null, drafts: { [`${person} ${place} `]: text } });
      stage.setActive(index);
      setTimeout(() => document.getElementById(`pane-${index}-composer`)?.focus(), 60);
    },
  });
  /** Show this person's button, if it's there. */
  const showing = (index, person, find) =>
    find() && {
      label: `Show me ${first(person)}'s button`,
      run: (stage, panes) => {
        const pane = panes > index ? index : 0;
        stage.change(pane, { person, place: find()?.message.channel ?? access, thread: null });
        stage.setActive(pane);
        setTimeout(() => point(find(), pane), 80);
      },
    };
  const typing = (text, label, after) => ({
    label,
    after,
    run: (stage) => {
      stage.change(0, { person: asks, hasTerminal: true, typed: { text } });
      stage.setActive(0);
    },
  });
  const opening = (tool, label) => ({
    label,
    run: () => {
      const button = document.querySelector(`[data-tool="${tool}"]`);
      if (button?.getAttribute("aria-expanded") !== "true") button?.click();
    },
  });

  const ask = writing(0, asks, access, LINE, "Write it for her");
  const askAgain = (note) => ({ ...ask, label: "Write a new request", note });
  const toApprove = () => showing(1, approves, () => approvable(ws, access));
  const declare = (label = `Write it for ${first(onCall)}`) => writing(0, onCall, incidents, GLASS, label);
  const toReview = () => showing(1, approves, () => findButton(ws, startsWith("Review"), access));
  const toClose = () => showing(0, onCall, () => findButton(ws, startsWith("Close"), access));

  return [
    {
      key: "ask",
      title: "Request access",
      text: `${first(asks)} has a fix to deploy. She requests prod for an hour and says why. This line is a slash command; /access alone opens a form.`,
      next: () => ask,
      isDone: (seen) => seen.has("request_submitted"),
    },
    {
      key: "approve",
      title: "Approve it",
      text: `The card is in #access-prod, on both screens. ${first(approves)} may approve it; ${first(asks)} may not, because it's her own. Press Approve as ${first(approves)}.`,
      next: () => toApprove() ?? askAgain("Nothing waits for approval now."),
      isDone: (seen) => seen.has("request_approved"),
    },
    {
      key: "done",
      title: "Use it, and give it back",
      text: `AWS (pretend) now gives ${first(asks)} the permission, and takes it away when the hour is over. She's done before that: press "I'm done" on the card.`,
      next: () =>
        showing(0, asks, () => findButton(ws, startsWith("I'm done"), access)) ??
        toApprove() ??
        askAgain("No access is open now."),
      isDone: (seen) => seen.has("grant_ended_early"),
    },
    {
      key: "race",
      title: "Let two approvers race",
      text: `${ws.playground.approvers.map(first).join(" and ")} press Approve at the same moment. One decides, and the other reads who did. Then let 100 races run, and read the tally.`,
      next: () => opening("race", "Open the race"),
      isDone: (seen) => seen.has("raced"),
    },
    ...(onCall && ws.app.commands.some((command) => command.name === "/breakglass")
      ? [
          {
            key: "break",
            title: "Break the glass",
            text: `At night, nobody is there to approve. ${first(onCall)} is on call and gets access at once: look at AWS. Everybody sees it, and somebody else has to review it.`,
            next: () => declare(),
            isDone: (seen) => seen.has("break_glass_invoked"),
          },
          {
            key: "review",
            title: "Have it reviewed",
            text: `${first(onCall)} closes the event when the incident is over, and the access ends. Then somebody else looks at what happened, and says whether it was justified: ${first(approves)}, for example.`,
            next: () => toReview() ?? toClose() ?? { ...declare("Write a new one"), note: "No event waits for a review." },
            isDone: (seen) => seen.has("break_glass_reviewed"),
          },
        ]
      : []),
    {
      key: "clock",
      title: "Move the clock",
      text: "What nobody decides expires, and access ends on time. Move the clock by a step, or to the next deadline, and watch the cards.",
      next: () => opening("clock", "Open the clock"),
      isDone: (seen) => seen.has("clock_moved"),
    },
    ...nightSteps(ws, { asks, access, incidents, first, writing, showing }),
    ...(ws.panels?.tamper
      ? [
          {
            key: "tamper",
            title: "Tamper with a record",
            text: "Somebody who has the database changes a record behind Countersign's back. Verify the trail afterwards: it names the record.",
            next: () => ({ label: "Open the experiments", run: (stage) => stage.openTamper() }),
            isDone: () => ws.panels.tamper.tampered.length > 0,
          },
        ]
      : []),
    {
      key: "pair",
      title: "Pair a terminal",
      text: `${first(asks)} works in a terminal, too. countersign login prints a line with a code. She types that line in Slack, and confirms: so the terminal is hers, for 12 hours at most.`,
      next: () => typing("countersign login", "Open her terminal", "Press Enter, then type the line that it prints in Slack."),
      isDone: (seen) => seen.has("device_paired"),
    },
    {
      key: "exec",
      title: "Get credentials that end",
      text: `She requests prod-admin from there, and ${first(approves)} approves as before. Then she lists buckets, with credentials that stop working when her time is over: move the clock, and run it again.`,
      next: () => typing(ASK_FROM_TERMINAL, "Write it for her", "Press Enter, approve, then run: countersign exec prod-admin -- aws s3 ls"),
      isDone: (seen) => seen.has("credentials_issued"),
    },
  ];
}

/** Scroll to this button, show it for a while, and focus it. */
function point(found, index) {
  if (!found) return;
  const button = document.querySelector(`[data-pane="${index}"] [data-ts="${found.message.ts}"] [data-action="${found.element.action_id}"]`);
  button?.scrollIntoView({ block: "center" });
  button?.focus();
  button?.classList.add("is-pointed-at");
  setTimeout(() => button?.classList.remove("is-pointed-at"), 4000);
}
