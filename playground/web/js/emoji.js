// The emoji that go by a name: those that Countersign writes, and those that people are likely to type.

const KNOWN = {
  alarm_clock: "⏰", arrow_right: "➡️", arrows_counterclockwise: "🔄", ballot_box_with_check: "☑️", bell: "🔔",
  blue_heart: "💙", bookmark: "🔖", bulb: "💡", bust_in_silhouette: "👤", busts_in_silhouette: "👥", calendar: "📅",
  checkered_flag: "🏁", clap: "👏", clipboard: "📋", clock1: "🕐", construction: "🚧", eyes: "👀", exclamation: "❗", fire: "🔥",
  fire_engine: "🚒", firecracker: "🧨", grey_question: "❔", hammer_and_wrench: "🛠️", hand: "✋", heart: "❤️",
  heavy_check_mark: "✔️", heavy_multiplication_x: "✖️", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  inbox_tray: "📥", information_source: "ℹ️", key: "🔑", large_blue_circle: "🔵", large_green_circle: "🟢",
  large_orange_circle: "🟠", large_red_circle: "🔴", large_yellow_circle: "🟡", leftwards_arrow_with_hook: "↩️",
  link: "🔗", lock: "🔒", lock_with_ink_pen: "🔏", loudspeaker: "📢", mag: "🔍", mega: "📣", memo: "📝", mute: "🔇",
  no_bell: "🔕", no_entry: "⛔", no_entry_sign: "🚫", octagonal_sign: "🛑", ok_hand: "👌", old_key: "🗝️",
  page_facing_up: "📄", pencil: "✏️", point_right: "👉", pray: "🙏", question: "❓", raised_hand: "✋",
  red_circle: "🔴", repeat: "🔁", rocket: "🚀", rotating_light: "🚨", scales: "⚖️", scroll: "📜",
  shield: "🛡️", sleeping: "😴", slightly_smiling_face: "🙂", smile: "😄", sos: "🆘", speech_balloon: "💬",
  stopwatch: "⏱️", tada: "🎉", thinking_face: "🤔", thumbsdown: "👎", thumbsup: "👍", timer_clock: "⏲️",
  triangular_flag_on_post: "🚩", unlock: "🔓", warning: "⚠️", wastebasket: "🗑️", wave: "👋",
  white_check_mark: "✅", white_circle: "⚪", wrench: "🔧", x: "❌", zap: "⚡", zzz: "💤", "+1": "👍", "-1": "👎",
};

/** The emoji of this name, or undefined. */
export const emoji = (name) => (Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined);

/** Text with each `:name:` that is known made into its emoji. */
export const withEmoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => emoji(name) ?? whole);
