// "Experiments": a panel beside the panes with three tabs: tamper with a record, cause trouble, change the policy.

import { html, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { Chaos, countTroubles } from "./chaos.js";
import { Icon } from "./icons.js";
import { PolicyEditor } from "./policy_editor.js";
import { Tamper } from "./tamper.js";

const TABS = [
  { name: "tamper", text: "Tamper", Content: Tamper },
  { name: "chaos", text: "Chaos", Content: Chaos },
  { name: "policy", text: "Policy", Content: PolicyEditor },
];

/** Whether the panel is open, and with which tab. `onOpen` makes room for it. */
export function useExperiments(onOpen) {
  const [isOpen, setOpen] = useState(false);
  const [tab, setTab] = useState("tamper");
  const open = (name = tab) => {
    setTab(name);
    setOpen(true);
    onOpen();
  };
  return { isOpen, tab, setTab, open, close: () => setOpen(false), toggle: () => (isOpen ? setOpen(false) : open()) };
}

/** How much isn't as usual: what was tampered with, and what is switched on. */
const countOf = (ws) => ws.panels.tamper.tampered.length + countTroubles(ws.panels.chaos);

export function ExperimentsTool({ ws, experiments }) {
  const count = countOf(ws);
  const label = `Experiments: tamper, chaos, policy${count ? `. ${count} not as usual` : ""}`;
  return html`
    <button type="button" class="tool" aria-pressed=${experiments.isOpen} aria-label=${label} title="Tamper with a record, cause trouble, change the policy" onClick=${experiments.toggle}>
      <${Icon} name="flask" /><span class="tool-text">Experiments</span>
      ${count > 0 && html`<span class="badge is-bad">${count}</span>`}
    </button>
  `;
}

export function ExperimentsPanel({ ws, evidence, experiments }) {
  const { tab, setTab, close } = experiments;
  const tabs = useRef(null);
  const { Content } = TABS.find((each) => each.name === tab);
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = (TABS.findIndex((each) => each.name === tab) + step + TABS.length) % TABS.length;
    setTab(TABS[at].name);
    tabs.current.querySelectorAll("button")[at].focus();
  };
  return html`
    <section class="experiments" aria-label="Experiments">
      <header class="side-head">
        <${Icon} name="flask" />
        <h2>Experiments</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <div ref=${tabs} class="experiment-tabs" role="tablist" aria-label="Experiments" onKeyDown=${onKeyDown}>
        ${TABS.map((each) => html`
          <button key=${each.name} type="button" role="tab" id="tab-${each.name}" aria-controls="experiment" aria-selected=${each.name === tab} tabindex=${each.name === tab ? 0 : -1} onClick=${() => setTab(each.name)}>${each.text}</button>
        `)}
      </div>
      <div id="experiment" class="experiment" role="tabpanel" aria-labelledby="tab-${tab}" tabindex="0">
        <${Content} key=${tab} ws=${ws} evidence=${evidence} />
      </div>
    </section>
  `;
}
