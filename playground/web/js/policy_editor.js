// "Policy": the policy file beside the panes, checked while it's written, explained, and saved as any editor would.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { Explain } from "./policy_explain.js";
import { usePanel } from "./panel_request.js";

const SETTLE_MS = 350;
const LOOK_MS = 1000;
const MOST_LOOKS = 30;
const LINE_PX = 19;

/** What was written and not saved, so that it outlives a look at another tab. */
const kept = { text: null, file: null };

export function PolicyEditor({ ws }) {
  const { ask, problem, isBusy } = usePanel("policy");
  const [file, setFile] = useState(kept.file);
  const [text, setText] = useState(kept.text ?? "");
  const [checked, setChecked] = useState({ problems: [], more: 0, has: null });
  const area = useRef(null);
  const write = (written) => {
    kept.text = written;
    setText(written);
  };
  const open = async (asked) => {
    const answer = await ask(asked);
    if (!answer) return;
    setFile((kept.file = answer));
    setChecked(answer);
    write(answer.text);
  };
  useEffect(() => {
    if (kept.file === null) open({ do: "open" });
  }, []);
  useCheck(text, file !== null, setChecked);
  const isChanged = file !== null && text !== file.text;
  const save = async () => {
    const answer = await ask({ do: "save", text, base: file.base });
    if (answer) setFile((kept.file = { ...answer, text }));
  };
  useLook(file, (answer) => setFile((kept.file = { ...kept.file, ...answer })));
  const { problems } = checked;
  const go = ({ line, column }) => {
    const at = text.split("\n").slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
    area.current.focus();
    area.current.setSelectionRange(at, at);
    area.current.scrollTop = Math.max(0, (line - 4) * LINE_PX);
  };
  return html`
    <p class="panel-about">This is policy.yml in the playground's folder. Save it, and it comes into force as an edited file does: once it has stayed the same for two seconds. The version is announced in #incidents.</p>
    <${Editor} area=${area} text=${text} write=${write} problems=${problems} isReady=${file !== null} />
    <${Checked} checked=${checked} go=${go} />
    <div class="editor-do">
      <button type="button" class="button ${isChanged && !problems.length ? "primary" : ""}" aria-disabled=${!isChanged || isBusy} onClick=${() => isChanged && save()}>${problems.length ? "Save it with its mistakes" : "Save"}</button>
      <button type="button" class="button" aria-disabled=${isBusy} onClick=${() => open({ do: "open" })}>Open the file again</button>
      <button type="button" class="button" aria-disabled=${isBusy} onClick=${() => open({ do: "reset" })}>Reset to the shipped one</button>
    </div>
    <div role="status">${file && html`<${State} file=${file} isChanged=${isChanged} />`}</div>
    ${problem && html`<p class="dialog-problem" role="alert">${problem}</p>`}
    ${file && html`<${Explain} ws=${ws} text=${text} profiles=${checked.profiles} />`}
  `;
}

/** Checks the text once nobody has typed for a moment. An answer about older text is left out. */
function useCheck(text, isReady, take) {
  const { ask } = usePanel("policy");
  const latest = useRef(text);
  latest.current = text;
  useEffect(() => {
    if (!isReady) return undefined;
    const check = async () => {
      const answer = await ask({ do: "check", text });
      if (latest.current !== text) return;
      if (answer) take(answer);
      // The check before this one was still on its way.
      else timer = setTimeout(check, SETTLE_MS);
    };
    let timer = setTimeout(check, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [text, isReady]);
}

/** Asks what became of a saved file, until it is in force or refused. */
function useLook(file, take) {
  const { ask } = usePanel("policy");
  const isWaiting = file !== null && !file.is_in_force && !file.refused && file.digest !== null;
  useEffect(() => {
    if (!isWaiting) return undefined;
    let looks = 0;
    const timer = setInterval(async () => {
      looks += 1;
      if (looks >= MOST_LOOKS) clearInterval(timer);
      const answer = await ask({ do: "look" });
      if (answer && answer.base === file.base) take(answer);
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [isWaiting, file?.base]);
}

function State({ file, isChanged }) {
  const unsaved = isChanged ? " What you wrote since isn't saved." : "";
  if (file.digest === null) return html`<p class="note-box">Countersign is killed. It reads the file when it starts.${unsaved}</p>`;
  if (file.refused) return html`<p class="note-box is-bad">The saved file has a mistake. Policy <code>${file.digest}</code> stays in force.${unsaved}</p>`;
  if (file.is_in_force) return html`<p class="note-box">Policy <code>${file.digest}</code> is in force: it is the saved file.${unsaved}</p>`;
  return html`<p class="note-box">Saved. Policy <code>${file.digest}</code> is in force until the file has settled…${unsaved}</p>`;
}

/** A text area with the numbers of its lines, and a mark where a mistake is. */
function Editor({ area, text, write, problems, isReady }) {
  const marks = useRef(null);
  const lines = text.split("\n").length;
  const follow = () => {
    const { scrollTop, scrollLeft } = area.current;
    for (const each of marks.current.querySelectorAll(".editor-moves")) each.style.transform = `translateY(${-scrollTop}px)`;
    marks.current.style.setProperty("--left", `${-scrollLeft}px`);
  };
  const bad = new Map(problems.map((each) => [each.line, each]));
  return html`
    <div class="editor">
      <div ref=${marks} class="editor-marks" aria-hidden="true">
        <div class="editor-numbers"><div class="editor-moves">
          ${Array.from({ length: lines }, (_, at) => html`<span key=${at} class=${bad.has(at + 1) ? "is-bad" : ""}>${at + 1}</span>`)}
        </div></div>
        <div class="editor-lines"><div class="editor-moves">
          ${problems.map((each, at) => html`
            <div key=${at} class="editor-line" style=${{ top: `${(each.line - 1) * LINE_PX}px` }}><span style=${{ left: `${each.column - 1}ch` }}></span></div>
          `)}
        </div></div>
      </div>
      <textarea
        ref=${area}
        class="editor-text"
        aria-label="policy.yml"
        aria-invalid=${problems.length > 0}
        aria-describedby="policy-problems"
        spellcheck=${false}
        autocapitalize="off"
        wrap="off"
        disabled=${!isReady}
        value=${text}
        onInput=${(event) => write(event.target.value)}
        onScroll=${follow}
      ></textarea>
    </div>
  `;
}

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

const Checked = ({ checked, go }) => html`
  <div id="policy-problems" class="problems" role="status">
    ${checked.problems.length === 0 && checked.has &&
    html`<p class="problems-none">No mistakes: ${count(checked.has.profiles, "profile", "profiles")}, ${count(checked.has.approval, "approval rule", "approval rules")}, ${count(checked.has.break_glass, "break-glass rule", "break-glass rules")}.</p>`}
    ${checked.problems.map((each, at) => html`
      <button key=${at} type="button" class="problem" onClick=${() => go(each)}>
        <span class="problem-place">line ${each.line}, column ${each.column}</span>
        <span><strong>${each.path}</strong>: ${each.problem}. ${each.fix}</span>
      </button>
    `)}
    ${checked.more > 0 && html`<p class="panel-about">and ${checked.more} more</p>`}
  </div>
`;
