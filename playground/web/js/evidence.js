// What the last action led to, fetched again whenever it may have changed.

import { get } from "./server.js";

const SETTLE_MS = 120;
const CHANGING = new Set(["snapshot", "interaction", "api_call", "message", "message_changed", "ephemeral", "clock", "aws", "terminal"]);

export class Evidence {
  last = null;
  /** Every kind of audit entry seen since the page opened, with its profile and without, and what was done with the playground's own tools. */
  seen = new Set();
  #listeners = new Set();
  #timer = null;

  constructor(ws) {
    ws.subscribe((event) => {
      if (event.type === "clock") this.see("clock_moved");
      if (CHANGING.has(event.type)) this.#soon();
    });
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  see(what) {
    this.seen.add(what);
    for (const listener of this.#listeners) listener();
  }

  async find(number) {
    return get(`/page/acts/${number}`);
  }

  #soon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#look();
    }, SETTLE_MS);
  }

  async #look() {
    try {
      this.last = await get("/page/acts/last");
    } catch {
      // When the stream reconnects, this is fetched again.
      return;
    }
    for (const entry of this.last.entries ?? []) this.seen.add(entry.event).add(`${entry.event} ${entry.profile}`);
    for (const listener of this.#listeners) listener();
  }
}
