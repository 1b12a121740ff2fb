// What each person has read, stored in the browser.

const key = (ws) => `countersign:${ws.playground.id}:read`;
let read = null;
let of = null;

function load(ws) {
  if (of === ws.playground.id) return;
  of = ws.playground.id;
  try {
    read = JSON.parse(localStorage.getItem(key(ws))) ?? {};
  } catch {
    read = {};
  }
}

const lastOf = (ws, person, channel) => Number(ws.messagesFor(person, channel).at(-1)?.ts ?? 0);

/** Mark the conversation as read by this person. True if something was new. */
export function markRead(ws, person, channel) {
  load(ws);
  const last = lastOf(ws, person, channel);
  const place = `${person} ${channel}`;
  if (read[place] === last) return false;
  const wasNew = (read[place] ?? ws.playground.began) < last;
  read[place] = last;
  try {
    localStorage.setItem(key(ws), JSON.stringify(read));
  } catch {
    // Without storage, everything is new again after a reload.
  }
  return wasNew;
}

/** How many messages are new to this person, and how many of them mention them. */
export function unread(ws, person, channel) {
  load(ws);
  // What happened before the playground's first start is history, and not news.
  const seen = read[`${person} ${channel.id}`] ?? ws.playground.began;
  const fresh = ws.messagesFor(person, channel.id).filter((m) => Number(m.ts) > seen && m.user !== person);
  const calls = fresh.filter((m) => m.to || channel.im_user || JSON.stringify([m.text, m.blocks]).includes(`<@${person}>`));
  return { count: fresh.length, calls: calls.length };
}
