// "Policy": the policy file beside the panes, checked while it is written.

import { html } from "../vendor/htm-preact-3.1.1.js";

export const PolicyEditor = () => html`<p class="panel-about">Nothing here yet.</p>`;
