// One person's Slack: their sidebar, the conversation they see, and the modals above it.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { Blocks } from "./blocks.js";
import { Composer } from "./composer.js";
import { Overlay } from "./confirm.js";
import { Conversation } from "./conversation.js";
import { Avatar, Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { Modals } from "./modal.js";
import { tryAct } from "./pressing.js";
import { Terminal } from "./terminal.js";
import { markRead, unread } from "./unread.js";
import { useView } from "./view.js";

const NOTICE_MS = 7000;

export function Pane({ ws, index, pane, change, isLive, hasModals, take }) {
  const { person, place, thread = null } = pane;
  const [notice, setNotice] = useState(null);
  const [asking, setAsking] = useState(null);
  const [isSidebarOpen, setSidebarOpen] = useState(false);
  const root = useRef(null);
  const id = `pane-${index}`;
  const notify = (text) => setNotice({ text });
  useEffect(() => {
    if (!notice) return undefined;
    const timer = setTimeout(() => setNotice(null), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  useEffect(() => setNotice(null), [person]);

  const isApp = place === "home" || place === "messages";
  const channel = place === "home" ? null : place === "messages" ? ws.directOf(person) : ws.channels.get(place);
  useEffect(() => {
    if (channel && document.visibilityState === "visible" && markRead(ws, person, channel.id)) change({});
  });
  const go = (where) => {
    setSidebarOpen(false);
    change({ place: where, thread: null });
  };
  const openMessage = ({ detail: { channel: where, ts } }) => {
    const found = ws.channels.get(where);
    if (found?.im_user) return go("messages");
    if (!found?.members.includes(person)) return notify("That message is in a channel that this person isn't in.");
    go(where);
    // The conversation is drawn first.
    return requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        const message = root.current?.querySelector(`[data-ts="${ts}"]`);
        message?.scrollIntoView({ block: "center" });
        message?.focus({ preventScroll: true });
      }),
    );
  };
  const isCovered = (hasModals && ws.modalsOf(person).length > 0) || asking !== null;
  const isActive = () => root.current.contains(document.activeElement) || document.activeElement === document.body;
  const draftKey = `${person} ${place} ${thread ?? ""}`;
  const setDraft = (text) => change({ drafts: { ...pane.drafts, [draftKey]: text } });
  const here = { ws, person, id, notify };

  return html`
    <${Overlay.Provider} value=${setAsking}>
    <section
      ref=${root}
      class="pane ${isSidebarOpen ? "is-sidebar-open" : ""}"
      aria-label="Slack as ${ws.nameOf(person)} sees it"
      data-pane=${index}
      onfocusin=${take}
      onopenmessage=${openMessage}
      onPointerDown=${take}
      onKeyDown=${(event) => event.key === "Escape" && isSidebarOpen && setSidebarOpen(false)}
    >
      <div class="pane-slack">
      <div class="pane-under" inert=${isCovered}>
        <header class="pane-head">
          <h2 class="hearable">${ws.nameOf(person)}</h2>
          <button
            type="button"
            class="icon-button sidebar-button"
            aria-label="Channels"
            aria-expanded=${isSidebarOpen}
            onClick=${() => setSidebarOpen(!isSidebarOpen)}
          >
            <${Icon} name="menu" />
          </button>
          <${Switcher} ws=${ws} person=${person} change=${change} />
          <button
            type="button"
            class="tool terminal-button"
            aria-pressed=${Boolean(pane.hasTerminal)}
            title="A terminal on this person's machine"
            onClick=${() => change({ hasTerminal: !pane.hasTerminal, typed: { text: "" } })}
          >
            <${Icon} name="terminal" /><span class="tool-text">Terminal</span>
          </button>
        </header>
        <div class="pane-body">
          <${Sidebar} ws=${ws} person=${person} place=${place} go=${go} />
          <button type="button" class="sidebar-veil" tabindex="-1" aria-label="Close the list of channels" onClick=${() => setSidebarOpen(false)}></button>
          <div class="place">
            ${isApp ? html`<${AppHead} ...${here} place=${place} go=${go} />` : html`<${ChannelHead} ws=${ws} channel=${channel} thread=${thread} back=${() => change({ thread: null })} />`}
            ${place === "home"
              ? html`<${Home} key=${person} ...${here} />`
              : html`
                  <${Conversation}
                    ...${here}
                    channel=${channel}
                    isLive=${isLive}
                    thread=${thread}
                    openThread=${(ts) => change({ thread: ts })}
                    empty=${html`<p class="empty">${isApp ? "Countersign writes to you here when your requests are decided." : "No messages yet."}</p>`}
                  />
                  ${isApp && !ws.app.reads_messages
                    ? html`<p class="composer-off">Countersign only writes here. Its commands work in any channel.</p>`
                    : html`<${Composer} key=${draftKey} ...${here} channel=${channel} thread=${thread} draft=${pane.drafts?.[draftKey] ?? ""} setDraft=${setDraft} />`}
                `}
          </div>
        </div>
      </div>
      <div class="pane-over" inert=${asking !== null}>
        ${hasModals && html`<${Modals} key=${person} ws=${ws} person=${person} id=${id} isActive=${isActive} />`}
      </div>
      ${asking}
      <div class="notices" role="alert">
        ${notice && html`<p class="notice"><${Icon} name="alert" /><span>${notice.text}</span>
          <button type="button" class="icon-button" aria-label="Close" onClick=${() => setNotice(null)}><${Icon} name="close" /></button></p>`}
      </div>
      </div>
      ${pane.hasTerminal &&
      html`<${Terminal} key=${person} ws=${ws} person=${person} id=${id} typed=${pane.typed} close=${() => change({ hasTerminal: false })} />`}
    </section>
    <//>
  `;
}

function Switcher({ ws, person, change }) {
  const role = (id) => ws.cast.find((part) => part.id === id)?.role ?? "";
  const items = ws.cast.map((part) => ({
    text: ws.nameOf(part.id),
    about: part.role,
    isCurrent: part.id === person,
    lead: html`<${Avatar} ws=${ws} id=${part.id} size="small" />`,
    run: () => part.id !== person && change({ person: part.id, typed: null }),
  }));
  return html`
    <${Menu} label="You are ${ws.nameOf(person)}. Be somebody else" items=${items} role="menuitemradio" class="switcher">
      <${Avatar} ws=${ws} id=${person} size="small" />
      <span class="switcher-name">${ws.nameOf(person)}</span>
      <span class="switcher-role">${role(person)}</span>
      <${Icon} name="chevron" />
    <//>
  `;
}

function Sidebar({ ws, person, place, go }) {
  const direct = ws.directOf(person);
  const isApp = place === "home" || place === "messages";
  return html`
    <nav class="sidebar" aria-label="Channels and apps of ${ws.nameOf(person)}">
      <p class="sidebar-team">${ws.team.name}</p>
      <h3 class="sidebar-title">Channels</h3>
      <ul>
        ${ws.channelsOf(person).map((channel) => html`
          <li key=${channel.id}>
            <${Place} icon=${channel.is_private ? "lock" : "hash"} name=${channel.name} isHere=${place === channel.id} news=${place === channel.id ? null : unread(ws, person, channel)} go=${() => go(channel.id)} />
          </li>
        `)}
      </ul>
      <h3 class="sidebar-title">Apps</h3>
      <ul>
        <li>
          <${Place} avatar=${html`<${Avatar} ws=${ws} id=${ws.app.bot_user} size="tiny" />`} name=${ws.app.name} isHere=${isApp} news=${direct && place !== "messages" ? unread(ws, person, direct) : null} go=${() => go(direct && unread(ws, person, direct).count ? "messages" : isApp ? place : ws.app.has_home_tab ? "home" : "messages")} />
        </li>
      </ul>
    </nav>
  `;
}

function Place({ icon, avatar, name, isHere, news, go }) {
  const isNew = news && news.count > 0;
  return html`
    <button type="button" class="sidebar-place ${isNew ? "is-new" : ""}" aria-current=${isHere ? "page" : null} onClick=${go}>
      ${avatar ?? html`<${Icon} name=${icon} />`}
      <span class="sidebar-name">${name}</span>
      ${isNew && html`<span class="hearable">, ${news.count} new</span>`}
      ${news?.calls > 0 && html`<span class="count" aria-hidden="true">${news.calls}</span>`}
    </button>
  `;
}

function ChannelHead({ ws, channel, thread, back }) {
  return html`
    <header class="place-head">
      ${thread
        ? html`<button type="button" class="icon-button" aria-label="Back to #${channel.name}" onClick=${back}><${Icon} name="back" /></button>
            <h3 class="place-title">Thread <span class="place-about">#${channel.name}</span></h3>`
        : html`<h3 class="place-title"><${Icon} name=${channel.is_private ? "lock" : "hash"} />${channel.name}</h3>
            <span class="members" title=${channel.members.map((id) => ws.nameOf(id)).join(", ")}>
              <span class="hearable">${channel.members.length} members</span>
              ${channel.members.filter((id) => id !== ws.app.bot_user).slice(0, 4).map((id) => html`<${Avatar} ws=${ws} id=${id} size="tiny" />`)}
            </span>`}
    </header>
  `;
}

function AppHead({ ws, person, place, go }) {
  const direct = ws.directOf(person);
  const news = place === "home" && direct ? unread(ws, person, direct) : null;
  const tabs = [
    ...(ws.app.has_home_tab ? [["home", "Home"]] : []),
    ["messages", "Messages"],
  ];
  return html`
    <header class="place-head is-app">
      <h3 class="place-title"><${Avatar} ws=${ws} id=${ws.app.bot_user} size="tiny" />${ws.app.name}</h3>
      <div class="tabs">
        ${tabs.map(([key, name]) => html`
          <button key=${key} type="button" class="tab" aria-current=${place === key ? "page" : null} onClick=${() => go(key)}>
            ${name}${key === "messages" && news?.count > 0 && html`<span class="count">${news.count}</span>`}
          </button>
        `)}
      </div>
    </header>
  `;
}

function Home({ ws, person, id, notify }) {
  useLayoutEffect(() => void tryAct({ act: "home", person }, notify), []);
  const view = ws.homes.get(person);
  if (!view) return html`<div class="home" tabindex="0" role="region" aria-label="Home"><p class="empty">Countersign is laying out this tab…</p></div>`;
  return html`<${HomeView} key=${view.id} ws=${ws} person=${person} view=${view} id="${id}-home" notify=${notify} />`;
}

function HomeView({ ws, person, view, id, notify }) {
  const { surface } = useView({ ws, person, view, notify, id });
  return html`
    <div class="home" tabindex="0" role="region" aria-label="Home">
      <div class="home-inner"><${Blocks} blocks=${view.content.blocks} surface=${surface} /></div>
    </div>
  `;
}
