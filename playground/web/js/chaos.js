// "Chaos": trouble that can be switched on, and what people read meanwhile.

import { html } from "../vendor/htm-preact-3.1.1.js";

export const countTroubles = (chaos) => chaos?.troubles?.length ?? 0;

export const Chaos = () => html`<p class="panel-about">Nothing here yet.</p>`;
