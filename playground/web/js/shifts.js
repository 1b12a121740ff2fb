// What follows from the schedules: who is on call now and next, and when the next hand-over is.

import { post } from "./server.js";

const A_LITTLE_AFTER_S = 2;

/** The shifts of a schedule around now: who is on call, who was and will be, and who may still approve after the hand-over. */
export function around(ws, schedule) {
  const shifts = schedule.shifts.map((each) => ({ ...each, starts: Date.parse(each.starts_at), ends: Date.parse(each.ends_at) }));
  const at = shifts.findIndex((each) => each.starts <= ws.now() && ws.now() < each.ends);
  const [before, now, next] = [shifts[at - 1], shifts[at], shifts[at + 1]];
  const until = before && before.ends + ws.panels.on_call.grace_seconds * 1000;
  const isInGrace = before && before.person !== now.person && ws.now() < until;
  return { shifts, before, now, next, leaving: isInGrace ? { ...before, until } : null };
}

/** The same for the schedule with this name; null without it, or while nobody is known to be on call. */
export function aroundIn(ws, name) {
  const schedule = ws.panels.on_call?.schedules.find((each) => each.name === name);
  const found = schedule && around(ws, schedule);
  return found?.now ? found : null;
}

/** What moves the clock to just after the next hand-over of any schedule; null without one. */
export function toHandOver(ws) {
  const ends = ws.panels.on_call.schedules.map((each) => around(ws, each).now?.ends).filter(Boolean);
  if (!ends.length) return null;
  return () => post("/page/clock", { seconds: Math.max(1, Math.ceil((Math.min(...ends) - ws.now()) / 1000) + A_LITTLE_AFTER_S) });
}
