// A mirror of the workspace: the server's snapshot, and every change since. It decides nothing.

const MOST_RUNS = 30;
const byTs = (a, b) => Number(a.ts) - Number(b.ts);

export class Workspace {
  isReady = false;
  isOnline = true;
  /** How often a person, a group or a channel has changed. */
  filed = 0;
  /** The tally of the races that run, or ran last. */
  races = null;
  #listeners = new Set();
  #ahead = 0;

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The playground's time in milliseconds: the machine's plus the offset of the clock. */
  now() {
    return Date.now() + this.#ahead;
  }

  setOnline(isOnline) {
    if (this.isOnline === isOnline) return;
    this.isOnline = isOnline;
    this.#notify({ type: "connection" });
  }

  hear(event) {
    const at = Date.parse(event.now ?? event.at);
    if (!Number.isNaN(at)) this.#ahead = at - Date.now();
    this.#take(event);
    this.#notify(event);
  }

  person(id) {
    return this.people.get(id);
  }

  nameOf(id) {
    const person = this.people.get(id);
    return person ? person.real_name || person.name : id;
  }

  get bot() {
    return this.people.get(this.app.bot_user);
  }

  channelsOf(person) {
    return [...this.channels.values()].filter((c) => !c.im_user && !c.is_archived && c.members.includes(person));
  }

  directOf(person) {
    return [...this.channels.values()].find((c) => c.im_user === person);
  }

  /** What this person sees there, oldest first. */
  messagesFor(person, channel) {
    return (this.messages.get(channel) ?? []).filter((m) => m.to === null || m.to === person);
  }

  /** The commands in this person's terminal, oldest first. `code` is null while one runs. */
  runsOf(person) {
    return this.terminals.get(person) ?? [];
  }

  modalsOf(person) {
    return this.modals.get(person) ?? [];
  }

  /** The tab and the pane that this person's modals are open in, `{tab, pane}`; null for those that belong to none. */
  ownerOf(person) {
    const [tab, pane] = this.modalOwners.get(person)?.split(":") ?? [];
    return tab ? { tab, pane: Number(pane) } : null;
  }

  #take(event) {
    switch (event.type) {
      case "snapshot":
        return this.#start(event);
      case "message":
      case "ephemeral":
      case "message_changed":
        return this.#put(event.message);
      case "message_deleted":
        return this.#remove(event.message);
      case "home":
        return void this.homes.set(event.user, event.view);
      case "modals":
        return void this.modals.set(event.user, event.stack);
      case "modal_owner":
        return void this.modalOwners.set(event.user, event.client);
      case "races":
        return void (this.races = event.races);
      case "directory":
        return this.#file(event.record);
      case "aws":
        return void (this.aws = event.aws);
      case "trail":
        return void (this.trail = event.trail);
      case "terminal":
        return this.#follow(event.person, event.run);
      case "panel":
        return void (this.panels = { ...this.panels, [event.name]: event.state });
    }
  }

  #start(snapshot) {
    Object.assign(this, { playground: snapshot.playground, team: snapshot.team, app: snapshot.app, cast: snapshot.cast });
    const byId = (records) => new Map(records.map((record) => [record.id, record]));
    this.people = byId(snapshot.people);
    this.groups = byId(snapshot.groups);
    this.channels = byId(snapshot.channels);
    this.homes = new Map(Object.entries(snapshot.homes));
    this.modals = new Map(Object.entries(snapshot.modals));
    this.modalOwners = new Map(Object.entries(snapshot.modal_owners));
    this.messages = new Map();
    for (const message of [...snapshot.messages, ...snapshot.ephemerals].sort(byTs)) {
      this.#shelf(message.channel).push(message);
    }
    this.aws = snapshot.aws;
    this.trail = snapshot.trail;
    this.panels = snapshot.panels;
    this.terminals = new Map(Object.entries(snapshot.terminals));
    this.filed += 1;
    this.isReady = true;
  }

  #shelf(channel) {
    if (!this.messages.has(channel)) this.messages.set(channel, []);
    return this.messages.get(channel);
  }

  #put(message) {
    const shelf = this.#shelf(message.channel);
    const index = shelf.findIndex((m) => m.ts === message.ts);
    if (index >= 0) shelf[index] = message;
    else shelf.push(message);
  }

  #remove(message) {
    const left = this.#shelf(message.channel).filter((m) => m.ts !== message.ts);
    this.messages.set(message.channel, left);
  }

  /** A command began, wrote something, or ended. */
  #follow(person, { number, text = "", ...changes }) {
    const runs = this.terminals.get(person) ?? [];
    const known = runs.find((run) => run.number === number) ?? { number, text: "", code: null };
    const run = { ...known, ...changes, text: known.text + text };
    this.terminals.set(person, [...runs.filter((each) => each.number !== number), run].slice(-MOST_RUNS));
  }

  #file(record) {
    this.filed += 1;
    const shelves = { U: this.people, W: this.people, S: this.groups, C: this.channels, D: this.channels };
    if (record.id[0] === "T") this.team = record;
    else shelves[record.id[0]]?.set(record.id, record);
  }

  #notify(event) {
    for (const listener of this.#listeners) listener(event);
  }
}

/** Messages outside of threads, each with its replies. */
export function threaded(messages) {
  const replies = new Map();
  const top = [];
  for (const message of messages) {
    if (message.thread_ts === null || message.thread_ts === message.ts) top.push(message);
    else replies.set(message.thread_ts, [...(replies.get(message.thread_ts) ?? []), message]);
  }
  return top.map((message) => ({ message, replies: replies.get(message.ts) ?? [] }));
}
