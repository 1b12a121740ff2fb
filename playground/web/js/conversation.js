// A conversation: its messages by day, scrolled to the newest unless somebody has scrolled up.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { dayName, isSameDay } from "./dates.js";
import { Icon } from "./icons.js";
import { kept } from "./kept.js";
import { heard, Message } from "./message.js";
import { threaded } from "./workspace.js";

const TOGETHER_SECONDS = 300;
const NEAR_PX = 60;

const MINUTE_MS = 60_000;

/** A message shows relative times and people's names, so the minute and the directory count, too. */
const KeptMessage = kept(Message, ({ ws, person, message, id, isCompact, replies, openThread }) => [
  Math.floor(ws.now() / MINUTE_MS), ws.filed, person, message, id, isCompact, Boolean(openThread), replies.length, ...replies,
]);

const at = (message) => new Date(Number(message.ts) * 1000);

function isCompact(message, before) {
  return (
    before?.user === message.user &&
    !before.to &&
    !message.to &&
    message.blocks.length < 2 &&
    before.blocks.length < 2 &&
    Number(message.ts) - Number(before.ts) < TOGETHER_SECONDS &&
    isSameDay(at(message), at(before))
  );
}

/** Keeps a list scrolled to its end; `isAway` when somebody has scrolled up and there is something new. */
function usePinned(list, key, count) {
  const isPinned = useRef(true);
  const [isAway, setAway] = useState(false);
  const down = () => {
    isPinned.current = true;
    setAway(false);
    list.current.scrollTop = list.current.scrollHeight;
  };
  useLayoutEffect(down, [key]);
  useLayoutEffect(() => {
    if (isPinned.current) down();
    else setAway(true);
  }, [count]);
  useEffect(() => {
    const sized = new ResizeObserver(() => isPinned.current && down());
    sized.observe(list.current);
    for (const child of list.current.children) sized.observe(child);
    return () => sized.disconnect();
  }, [key, count]);
  const onScroll = () => {
    const { scrollHeight, scrollTop, clientHeight } = list.current;
    isPinned.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (isPinned.current) setAway(false);
  };
  return { isAway, down, onScroll };
}

/** Announces rewritten messages to a screen reader; new ones are announced by the log role. */
function useRewritten(ws, channel, isLive) {
  const [text, setText] = useState("");
  useEffect(
    () =>
      ws.subscribe((event) => {
        if (isLive && event.type === "message_changed" && event.message.channel === channel) setText(heard(ws, event.message));
      }),
    [channel, isLive],
  );
  return text;
}

export function Conversation({ ws, person, channel, id, isLive, notify, thread, openThread, empty }) {
  const list = useRef(null);
  const all = threaded(ws.messagesFor(person, channel.id));
  const shown = thread ? threadOf(all, thread) : all;
  const rewritten = useRewritten(ws, channel.id, isLive);
  const { isAway, down, onScroll } = usePinned(list, `${person} ${channel.id} ${thread}`, shown.length);
  const now = new Date(ws.now());
  const name = thread ? "Thread" : channel.im_user ? "Messages of Countersign" : `Messages in #${channel.name}`;
  return html`
    <div class="conversation">
      <div
        ref=${list}
        class="messages"
        role="log"
        aria-live=${isLive ? "polite" : "off"}
        aria-relevant="additions"
        aria-label=${name}
        tabindex="0"
        onScroll=${onScroll}
      >
        <div class="messages-inner">
          ${shown.length === 0 && empty}
          ${shown.map(({ message, replies }, index) => {
            const before = shown[index - 1]?.message;
            const isNewDay = !before || !isSameDay(at(before), at(message));
            return html`
              ${isNewDay && html`<div key="day ${message.ts}" class="day"><span>${dayName(at(message), now)}</span></div>`}
              <${KeptMessage}
                key=${message.ts}
                ws=${ws}
                person=${person}
                message=${message}
                id=${id}
                isCompact=${!isNewDay && isCompact(message, before)}
                notify=${notify}
                replies=${thread ? [] : replies}
                openThread=${thread ? null : openThread}
              />
            `;
          })}
        </div>
      </div>
      ${isAway && html`<button type="button" class="jump" onClick=${down}><${Icon} name="chevron" />New messages</button>`}
      <p class="hearable" role="status">${rewritten}</p>
    </div>
  `;
}

function threadOf(all, ts) {
  const found = all.find(({ message }) => message.ts === ts);
  return found ? [found.message, ...found.replies].map((message) => ({ message, replies: [] })) : [];
}
