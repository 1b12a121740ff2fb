// Line icons, all with the same stroke width.

import { html } from "../vendor/htm-preact-3.1.1.js";

const PATHS = {
  alert: "M12 8v5M12 16.4v.2M10.3 3.9 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0z",
  back: "M15 5l-7 7 7 7",
  bell: "M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 1.5H5zM10.2 20.5a2 2 0 0 0 3.6 0",
  bolt: "M13 2.5 4.5 13.5H12l-1 8 8.5-11H12z",
  check: "M4.5 12.5l5 5 10-11",
  chevron: "M6 9.5l6 6 6-6",
  clock: "M12 6.5V12l3.5 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  close: "M6 6l12 12M18 6L6 18",
  cloud: "M7 18.5a4.5 4.5 0 0 1-.6-9A6 6 0 0 1 18 10.6a4 4 0 0 1-.5 7.9z",
  columns: "M4 4.5h16v15H4zM12 4.5v15",
  flask: "M9.5 3.5h5M10.5 3.5v6L5 18.7a1.3 1.3 0 0 0 1.1 1.8h11.8a1.3 1.3 0 0 0 1.1-1.8l-5.5-9.2v-6M7.8 14.5h8.4",
  forward: "M9 5l7 7-7 7",
  hash: "M9.5 4 7.5 20M16.5 4l-2 16M4.5 9h15.5M4 15h15.5",
  home: "M4 11.5 12 4.5l8 7M6 10v9.5h12V10",
  layers: "M12 3.5 21 8.5l-9 5-9-5zM4 13l8 4.5L20 13M4 17l8 4.5 8-4.5",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z",
  menu: "M4 7h16M4 12h16M4 17h16",
  message: "M4 5h16v11.5h-9L6.5 20v-3.5H4z",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  plus: "M12 5v14M5 12h14",
  reply: "M9.5 6 4 11.5l5.5 5.5M4.5 11.5H14a6 6 0 0 1 6 6V19",
  send: "M4.5 4.5 20.5 12l-16 7.5 2-7.5zM6.5 12h7",
  single: "M5 4.5h14v15H5z",
  terminal: "M3.5 5h17v14h-17zM7 9.5l3 2.5-3 2.5M12 15h4.5",
  sun: "M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0z",
  trash: "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 13h9l1-13M10.5 11v5M13.5 11v5",
  flag: "M6 21V4.5M6 5c5-3 7 3 12 0v9c-5 3-7-3-12 0",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM15 12a3 3 0 1 1-6 0 3 3 0 0 1 6 0z",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>
`;

export const Mark = () => html`
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" class="mark-ground" />
    <circle cx="12.5" cy="16" r="6.5" class="mark-left" />
    <circle cx="19.5" cy="16" r="6.5" class="mark-right" />
    <path d="M13.6 16.2l2 2 3.2-4" class="mark-check" />
  </svg>
`;

/** Initials on the person's own colour; the bot has its logo. */
export function Avatar({ ws, id, size = "" }) {
  if (id === ws.app.bot_user) return html`<span class="avatar ${size} is-bot" aria-hidden="true"><${Mark} /></span>`;
  const names = ws.nameOf(id).split(/\s+/);
  const initials = names.length > 1 ? names[0][0] + names.at(-1)[0] : names[0].slice(0, 2);
  const hue = [...ws.people.keys()].filter((each) => each !== ws.app.bot_user).indexOf(id) % 6;
  return html`<span class="avatar ${size} hue-${hue}" aria-hidden="true">${initials.toUpperCase()}</span>`;
}
