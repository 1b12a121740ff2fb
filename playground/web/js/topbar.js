// The playground's own controls: clock, race, Under the hood, tour, light and dark.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.js";
import { countHeld } from "./aws.js";
import { Clock } from "./clock.js";
import { ExperimentsTool } from "./experiments.js";
import { Icon, Mark } from "./icons.js";
import { OnCallTool } from "./on_call.js";
import { Race } from "./race.js";

export function Topbar({ ws, evidence, isDouble, toggleSecond, isHoodOpen, toggleHood, isAwsOpen, toggleAws, isOnCallOpen, toggleOnCall, experiments, tour }) {
  return html`
    <header class="topbar" aria-label="Playground">
      <h1 class="brand"><${Mark} /><span class="brand-name">Countersign</span> <span class="brand-about">playground</span></h1>
      ${!ws.isOnline && html`<p class="offline" role="status">Not connected. Trying again…</p>`}
      <div class="topbar-tools">
        <${Clock} ws=${ws} />
        <${Race} ws=${ws} evidence=${evidence} />
        <${AwsTool} ws=${ws} isOpen=${isAwsOpen} toggle=${toggleAws} />
        ${ws.panels.on_call && html`<${OnCallTool} ws=${ws} isOpen=${isOnCallOpen} toggle=${toggleOnCall} />`}
        <${ExperimentsTool} ws=${ws} experiments=${experiments} />
        <button type="button" class="tool" aria-pressed=${isHoodOpen} onClick=${toggleHood} title="What the last action did">
          <${Icon} name="layers" /><span class="tool-text">Under the hood</span>
        </button>
        <button type="button" class="tool" aria-pressed=${tour.isOpen} onClick=${tour.toggle} title="Guided tour">
          <${Icon} name="flag" /><span class="tool-text">Tour</span>
        </button>
        <button type="button" class="tool is-icon wide-only" aria-label=${isDouble ? "Show one person" : "Show two people"} title=${isDouble ? "Show one person" : "Show two people"} onClick=${toggleSecond}>
          <${Icon} name=${isDouble ? "single" : "columns"} />
        </button>
        <${Theme} />
      </div>
    </header>
  `;
}

function AwsTool({ ws, isOpen, toggle }) {
  const count = countHeld(ws);
  const label = `AWS (pretend): ${count} ${count === 1 ? "assignment" : "assignments"}${ws.aws.is_out ? ", an outage" : ""}`;
  return html`
    <button type="button" class="tool" aria-pressed=${isOpen} aria-label=${label} onClick=${toggle} title="Who holds what in the pretend AWS">
      <${Icon} name="cloud" /><span class="tool-text">AWS</span>
      ${(count > 0 || ws.aws.is_out) && html`<span class="badge ${ws.aws.is_out ? "is-bad" : ""}">${ws.aws.is_out ? "!" : count}</span>`}
    </button>
  `;
}

const system = matchMedia("(prefers-color-scheme: dark)");
const isDarkNow = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

function Theme() {
  const [isDark, setDark] = useState(isDarkNow);
  useEffect(() => {
    const follow = () => setDark(isDarkNow());
    system.addEventListener("change", follow);
    return () => system.removeEventListener("change", follow);
  }, []);
  const toggle = () => {
    const theme = isDarkNow() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("countersign:theme", theme);
    } catch {
      // Without storage, the choice lasts until the page is closed.
    }
    setDark(theme === "dark");
  };
  const name = isDark ? "Light colours" : "Dark colours";
  return html`<button type="button" class="tool is-icon" aria-label=${name} title=${name} onClick=${toggle}><${Icon} name=${isDark ? "sun" : "moon"} /></button>`;
}
