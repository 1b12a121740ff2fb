// One person's terminal: a line to type, what the commands wrote, and Ctrl-C. The commands really run, on the server.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { Icon } from "./icons.js";
import { post } from "./server.js";

const NEAR_END_PX = 40;
const WELCOME = "Try: countersign login";

/** How many characters fit into a line: commands wrap their help to that. */
function columnsOf(box) {
  const measure = document.createElement("canvas").getContext("2d");
  const style = getComputedStyle(box);
  measure.font = `${style.fontSize} ${style.fontFamily}`;
  const width = box.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight);
  return Math.min(Math.max(Math.floor(width / measure.measureText("m".repeat(10)).width * 10), 20), 400);
}

/** `typed` takes the focus and writes a line: `{text}`, a new object each time. */
export function Terminal({ ws, person, id, typed, close }) {
  const runs = ws.runsOf(person);
  const running = runs.find((run) => run.code === null);
  const name = ws.nameOf(person);
  const host = `${ws.person(person)?.name ?? "somebody"}@laptop`;
  const [line, setLine] = useState(typed?.text ?? "");
  const [at, setAt] = useState(null);
  const [problem, setProblem] = useState(null);
  const log = useRef(null);
  const input = useRef(null);
  const isAtEnd = useRef(true);

  useEffect(() => {
    if (!typed) return;
    setLine(typed.text);
    input.current?.focus();
  }, [typed]);
  useLayoutEffect(() => {
    if (isAtEnd.current) log.current.scrollTop = log.current.scrollHeight;
  });

  const send = async (asked) => {
    setProblem(null);
    isAtEnd.current = true;
    try {
      await post("/page/terminal", { person, ...asked });
      return true;
    } catch (error) {
      setProblem(error.message);
      return false;
    }
  };
  const run = async (event) => {
    event.preventDefault();
    if (!line.trim()) return;
    if (running) return void setProblem("A command is still running. Ctrl-C stops it.");
    setAt(null);
    if (await send({ do: "run", line, columns: columnsOf(log.current) })) setLine("");
  };
  const recall = (step) => {
    const lines = [...new Set(runs.map((each) => each.line))];
    const next = Math.min(Math.max((at ?? lines.length) + step, 0), lines.length);
    setAt(next);
    setLine(lines[next] ?? "");
  };
  const onKeyDown = (event) => {
    const isInput = event.target === input.current;
    const isSelecting = isInput ? input.current.selectionStart !== input.current.selectionEnd : !getSelection().isCollapsed;
    if (event.ctrlKey && event.key.toLowerCase() === "c" && !isSelecting) {
      // With a selection it copies, as everywhere else.
      event.preventDefault();
      if (running) send({ do: "interrupt" });
      else setLine("");
    } else if (isInput && event.key === "ArrowUp") {
      event.preventDefault();
      recall(-1);
    } else if (isInput && event.key === "ArrowDown") {
      event.preventDefault();
      recall(1);
    }
  };

  return html`
    <section class="terminal" aria-label="Terminal of ${name}" onKeyDown=${onKeyDown}>
      <header class="terminal-head">
        <${Icon} name="terminal" /><h3>${host}</h3>
        ${running && html`<button type="button" class="terminal-stop" onClick=${() => send({ do: "interrupt" })}>Stop <kbd>Ctrl-C</kbd></button>`}
        <button type="button" class="icon-button" aria-label="Close the terminal" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <div
        ref=${log}
        class="terminal-log"
        role="log"
        aria-label="Output"
        tabindex="0"
        onScroll=${({ currentTarget: box }) => (isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX)}
      >
        ${runs.length === 0 && html`<p class="terminal-welcome">${WELCOME}</p>`}
        ${runs.map((each) => html`<${Run} key=${each.number} run=${each} host=${host} />`)}
        ${problem && html`<p class="terminal-problem" role="alert">${problem}</p>`}
      </div>
      <form class="terminal-line" onSubmit=${run}>
        <label for="${id}-terminal"><span aria-hidden="true">${running ? "…" : "$"}</span><span class="hearable">Command of ${name}</span></label>
        <input
          ref=${input}
          id="${id}-terminal"
          value=${line}
          maxlength="1000"
          autocomplete="off"
          autocapitalize="off"
          spellcheck=${false}
          placeholder=${running ? "Running. Ctrl-C stops it" : ""}
          onInput=${(event) => setLine(event.target.value)}
        />
      </form>
    </section>
  `;
}

const Run = ({ run, host }) => html`
  <div class="run">
    <p class="run-line"><span class="run-host">${host} $</span> ${run.line}</p>
    ${run.text && html`<pre class="run-text">${run.text.trimEnd()}</pre>`}
    ${run.code ? html`<p class="run-code">exit code ${run.code}</p>` : null}
  </div>
`;
