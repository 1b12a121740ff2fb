// The emoji that Countersign uses, and a few that people type. Each is shown as a picture, vendor/emoji/NAME.svg, so
// that a machine without an emoji font shows it too. A name that isn't here stays text, as an unknown name does in Slack.

import { html } from "../vendor/htm-preact-3.1.1.js";

const KNOWN = {
  alarm_clock: "⏰", ballot_box_with_check: "☑️", bell: "🔔", bulb: "💡", checkered_flag: "🏁", computer: "💻", eyes: "👀",
  fire: "🔥", hourglass: "⌛", hourglass_flowing_sand: "⏳", key: "🔑", leftwards_arrow_with_hook: "↩️", lock: "🔒", mag: "🔍",
  no_entry: "⛔", pray: "🙏", rocket: "🚀", rotating_light: "🚨", tada: "🎉", thumbsdown: "👎", thumbsup: "👍",
  unlock: "🔓", warning: "⚠️", wave: "👋", white_check_mark: "✅", x: "❌",
};
const ALIASES = { "+1": "thumbsup", "-1": "thumbsdown" };

// The second half of "⚠️", which asks for the coloured form, is often left out.
const withoutSelector = (character) => character.replace("\uFE0F", "");
const NAMES = new Map(Object.entries(KNOWN).map(([name, character]) => [withoutSelector(character), name]));
const CHARACTER = new RegExp(`((?:${[...NAMES.keys()].join("|")})\uFE0F?)`, "u");

/** Text with each known emoji name, `:tada:`, replaced by its character: for screen readers and attributes. */
export const withCharacters = (text) =>
  text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => {
    const known = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
    return Object.hasOwn(KNOWN, known) ? KNOWN[known] : whole;
  });

/** Text in parts, with the character of each known emoji replaced by its picture: for display. */
export const withPictures = (text) =>
  text.split(CHARACTER).map((part, index) => (index % 2 ? picture(NAMES.get(withoutSelector(part))) : part));

const picture = (name) => html`<img class="emoji" src="vendor/emoji/${name}.svg" alt=${KNOWN[name]} draggable="false" />`;
