// What the last action led to, fetched again whenever it may have changed.

import { get } from "./server.js";

const SETTLE_MS = 120;
const CHANGING = new Set(["snapshot", "interaction", "api_call", "message", "message_changed", "ephemeral", "clock", "aws", "terminal"]);

export class Evidence {
  last = null;
  /** Every kind of audit entry seen since the page opened. */
  seen = new Set();
  #listeners = new Set();
  #timer = null;

  constructor(ws) {
    ws.subscribe((event) => CHANGING.has(event.type) && this.#soon());
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
    for (const entry of this.last.entries ?? []) this.seen.add(entry.event);
    for (const listener of this.#listeners) listener();
  }
}
