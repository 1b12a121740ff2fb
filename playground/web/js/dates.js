// Times in the reader's own zone, as Slack's date format writes them.

const LOCALE = navigator.language.startsWith("en") ? navigator.language : "en-GB";
const DAY = 86_400_000;
const formats = new Map();

function format(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(LOCALE, options));
  return formats.get(key);
}

const SHORT = { month: "short", day: "numeric", year: "numeric" };
const MIDDLE = { month: "long", day: "numeric", year: "numeric" };
const LONG = { weekday: "long", ...MIDDLE };

const startOfDay = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();

function pretty(at, now, options) {
  const days = Math.round((startOfDay(at) - startOfDay(now)) / DAY);
  return { [-1]: "yesterday", 0: "today", 1: "tomorrow" }[days] ?? format(options).format(at);
}

export const timeOf = (at) => format({ hour: "numeric", minute: "2-digit" }).format(at);
export const timeWithSeconds = (at) => format({ hour: "numeric", minute: "2-digit", second: "2-digit" }).format(at);
export const dayAndTime = (at) => `${format({ weekday: "short", ...SHORT }).format(at)}, ${timeOf(at)}`;
export const isSameDay = (a, b) => startOfDay(a) === startOfDay(b);

/** The text of the divider between two days. */
export function dayName(at, now) {
  const name = pretty(at, now, { weekday: "long", month: "long", day: "numeric" });
  return name[0].toUpperCase() + name.slice(1);
}

/** `<!date^seconds^pattern>`: the pattern with its tokens filled in; undefined for an unknown token. */
export function fill(pattern, at, now) {
  const tokens = {
    date: () => format(MIDDLE).format(at),
    date_num: () => `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`,
    date_short: () => format(SHORT).format(at),
    date_long: () => format(LONG).format(at),
    date_pretty: () => pretty(at, now, MIDDLE),
    date_short_pretty: () => pretty(at, now, SHORT),
    date_long_pretty: () => pretty(at, now, LONG),
    time: () => timeOf(at),
    time_secs: () => timeWithSeconds(at),
    ago: () => relative(at, now),
  };
  let isKnown = true;
  const text = pattern.replace(/\{(\w+)\}/g, (_, name) => {
    if (!Object.hasOwn(tokens, name)) isKnown = false;
    return isKnown ? tokens[name]() : "";
  });
  return isKnown ? text : undefined;
}

/** The time between a moment and now, in its two largest units. */
export function relative(at, now) {
  const seconds = Math.round((at - now) / 1000);
  // What is left is rounded up: an hour that began just now isn't 59 minutes.
  const left = length(seconds > 0 ? Math.ceil(seconds / 60) * 60 : -seconds);
  if (Math.abs(seconds) < 60) return seconds > 0 ? "in less than a minute" : "just now";
  return seconds > 0 ? `in ${left}` : `${left} ago`;
}

export function length(seconds) {
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
  ].filter(([count]) => count > 0);
  return parts.slice(0, 2).map(([count, unit]) => `${count}\u00a0${unit}`).join(" ") || `${seconds} s`;
}
