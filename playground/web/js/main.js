// Starts the page: the workspace, two people side by side, and the playground's own controls.

import { html, render, useEffect, useMemo, useReducer, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { AwsPanel } from "./aws.js";
import { Evidence } from "./evidence.js";
import { ExperimentsPanel, useExperiments } from "./experiments.js";
import { Hood } from "./hood.js";
import { OnCallPanel } from "./on_call.js";
import { Pane } from "./pane.js";
import { actIn, listen, tab } from "./server.js";
import { Topbar } from "./topbar.js";
import { Tour, useTour } from "./tour.js";
import { Workspace } from "./workspace.js";

const TICK_MS = 20_000;
const WIDE_PX = 1500;
const roomy = matchMedia("(min-width: 1181px)");

const ws = new Workspace();
const evidence = new Evidence(ws);

/** The panes from the URL: `?people=U0MIRA,U0JON`, with an optional `:place` after a person. */
function panesFromAddress() {
  const asked = new URLSearchParams(location.search).get("people");
  const named = (asked ?? "").split(",").filter(Boolean);
  const panes = named.map((each) => {
    const [person, place] = each.split(":");
    return settle({ person, place });
  });
  const known = panes.filter((pane) => ws.cast.some((part) => part.id === pane.person)).slice(0, 2);
  return known.length ? known : ws.cast.slice(0, 2).map((part) => settle({ person: part.id }));
}

/** A person can only open places they have access to. */
function settle(pane) {
  const channels = ws.channelsOf(pane.person);
  const isApp = pane.place === "messages" || (pane.place === "home" && ws.app.has_home_tab);
  if (isApp || channels.some((channel) => channel.id === pane.place)) return pane;
  return { ...pane, place: channels[0]?.id ?? "messages", thread: null };
}

function writeAddress(panes) {
  const people = panes.map((pane) => `${pane.person}:${pane.place}`).join(",");
  history.replaceState(null, "", `?people=${people}`);
}

function App() {
  const [, redraw] = useReducer((count) => count + 1, 0);
  // A call of the bot shows only with the evidence, which is fetched a moment later.
  useEffect(() => ws.subscribe((event) => event.type !== "api_call" && redraw()), []);
  useEffect(() => evidence.subscribe(redraw), []);
  useEffect(() => {
    const timer = setInterval(redraw, TICK_MS);
    return () => clearInterval(timer);
  }, []);
  if (!ws.isReady) return html`<p class="loading">Opening the workspace…</p>`;
  return html`<${Page} />`;
}

/** Whether the modals of this pane's person show in it: they belong to one tab, and there to one pane. */
function showsModals(panes, index) {
  const owner = ws.ownerOf(panes[index].person);
  if (!owner) return true;
  if (owner.tab !== tab) return false;
  return owner.pane === index || panes[owner.pane]?.person !== panes[index].person;
}

function Page() {
  const [panes, setPanes] = useState(panesFromAddress);
  const [active, setActive] = useState(0);
  const [isHoodOpen, setHoodOpen] = useState(innerWidth >= WIDE_PX);
  const [isAwsOpen, setAwsOpen] = useState(roomy.matches);
  const [isOnCallOpen, setOnCallOpen] = useState(false);
  const experiments = useExperiments(() => (setAwsOpen(false), setHoodOpen(false), setOnCallOpen(false)));
  const hasSide = isAwsOpen || isOnCallOpen || isHoodOpen || experiments.isOpen;
  const isDouble = panes.length > 1;
  useEffect(() => writeAddress(panes), [panes]);
  useSectionKeys();
  useEffect(() => {
    // Where there is no room beside the panes, it would cover them.
    const follow = () => setAwsOpen(roomy.matches);
    roomy.addEventListener("change", follow);
    return () => roomy.removeEventListener("change", follow);
  }, []);

  const change = (index, changes) =>
    setPanes((before) => before.map((pane, each) => (each === index ? settle({ ...pane, ...changes }) : pane)));
  const openOnCall = () => {
    (setAwsOpen(false), experiments.close());
    setOnCallOpen(true);
  };
  const stage = useMemo(() => ({ change, setActive, openOnCall: () => roomy.matches && openOnCall(), openTamper: () => experiments.open("tamper") }), []);
  const tour = useTour(ws, evidence, stage);
  const toggleSecond = () => {
    setActive(0);
    setPanes((before) => {
      if (before.length > 1) return [before[active] ?? before[0]];
      const other = ws.cast.find((part) => part.id !== before[0].person);
      return [...before, settle({ person: other.id, place: before[0].place })];
    });
  };

  return html`
    <${Topbar}
      ws=${ws}
      evidence=${evidence}
      isDouble=${isDouble}
      toggleSecond=${toggleSecond}
      isHoodOpen=${isHoodOpen}
      toggleHood=${() => setHoodOpen(!isHoodOpen)}
      isAwsOpen=${isAwsOpen}
      toggleAws=${() => setAwsOpen(!isAwsOpen)}
      isOnCallOpen=${isOnCallOpen}
      toggleOnCall=${() => (isOnCallOpen ? setOnCallOpen(false) : openOnCall())}
      experiments=${experiments}
      tour=${tour}
    />
    <${Tour} tour=${tour} />
    <main class="stage ${hasSide ? "has-side" : ""} ${isHoodOpen ? "has-hood" : ""} ${isDouble ? "is-double" : "is-single"}" data-active=${active}>
      ${isDouble &&
      html`<div class="pane-tabs" role="group" aria-label="Whose screen">
        ${panes.map((pane, index) => html`
          <button key=${index} type="button" aria-pressed=${active === index} onClick=${() => setActive(index)}>${ws.nameOf(pane.person)}</button>
        `)}
      </div>`}
      <div class="panes">
        ${panes.map((pane, index) => html`
          <${Pane}
            key=${index}
            ws=${ws}
            index=${index}
            pane=${pane}
            change=${(changes) => change(index, changes)}
            isLive=${active === index}
            hasModals=${showsModals(panes, index)}
            take=${() => {
              actIn(index);
              if (active !== index) setActive(index);
            }}
          />
        `)}
      </div>
      ${hasSide &&
      html`<div class="side">
        ${experiments.isOpen && html`<${ExperimentsPanel} ws=${ws} evidence=${evidence} experiments=${experiments} />`}
        ${isOnCallOpen && html`<${OnCallPanel} ws=${ws} close=${() => setOnCallOpen(false)} />`}
        ${isAwsOpen && html`<${AwsPanel} ws=${ws} close=${() => setAwsOpen(false)} />`}
        ${isHoodOpen && html`<${Hood} ws=${ws} evidence=${evidence} close=${() => setHoodOpen(false)} />`}
      </div>`}
    </main>
  `;
}

/** F6 cycles through the parts of the page, as in Slack. */
function useSectionKeys() {
  useEffect(() => {
    const onKeyDown = (event) => {
      if (event.key !== "F6") return;
      event.preventDefault();
      const parts = [...document.querySelectorAll(".topbar, .pane, .terminal, .experiments, .on-call, .aws, .hood, .tour")].filter((part) => part.getClientRects().length);
      // A terminal is inside its pane, and behind it in the order of the page.
      const now = parts.findLastIndex((part) => part.contains(document.activeElement));
      const next = parts[(now + (event.shiftKey ? -1 : 1) + parts.length) % parts.length];
      const composer = next.querySelector(".veil:not([hidden]) input, .veil:not([hidden]) textarea, .composer textarea");
      (composer ?? next.querySelector("button, [tabindex='0']"))?.focus();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
}

listen(
  (event) => {
    // After a reset it's a different playground: nothing on the old page matches it.
    if (event.type === "snapshot" && ws.isReady && event.playground.id !== ws.playground.id) location.reload();
    else ws.hear(event);
  },
  (isOnline) => ws.setOnline(isOnline),
);
render(html`<${App} />`, document.getElementById("app"));
