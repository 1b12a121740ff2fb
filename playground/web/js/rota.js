// One schedule as a bar: who has which shift, and where now is. What it shows is said in words beside it.

import { html } from "../vendor/htm-preact-3.1.1.js";

const HOUR = 3_600_000;
const [BEFORE, AFTER] = [6 * HOUR, 30 * HOUR];
const WIDTH = 360;
const HEIGHT = 26;

export function Timeline({ ws, shifts }) {
  const now = ws.now();
  const from = now - BEFORE;
  const x = (at) => Math.max(0, Math.min(WIDTH, ((at - from) / (BEFORE + AFTER)) * WIDTH));
  const hue = (id) => [...ws.people.keys()].filter((each) => each !== ws.app.bot_user).indexOf(id) % 6;
  const shown = shifts.filter((each) => x(each.ends) > x(each.starts));
  return html`
    <svg class="rota" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      ${shown.map((each) => html`
        <rect key=${each.starts} class="rota-shift hue-${hue(each.person)} ${each.ends <= now ? "is-over" : ""}" x=${x(each.starts) + 1} y="4" rx="3" width=${Math.max(1, x(each.ends) - x(each.starts) - 2)} height=${HEIGHT - 8} />
      `)}
      <rect class="rota-now" x=${x(now) - 1} y="0" width="2" height=${HEIGHT} />
    </svg>
  `;
}
