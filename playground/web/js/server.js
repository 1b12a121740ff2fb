// Talks to the playground's server: sends actions, receives changes.

export class Problem extends Error {}

/** Send a request, and return the JSON answer. Throws a Problem with a message for the person. */
export async function post(path, asked) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(asked),
    });
  } catch {
    throw new Problem("The playground doesn't answer. Is it still running in the terminal?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(answer.problem ?? `The playground answered ${response.status}.`);
  return answer;
}

export async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Problem(`The playground answered ${response.status}.`);
  return response.json();
}

/** This tab. A reload keeps it. */
export const tab = rememberedTab();
let pane = 0;

/** From now on, people act in this pane. */
export const actIn = (index) => void (pane = index);

/** Perform what a person does in Slack: `{act, person, …}`. */
export const act = (asked) => post("/page/acts", { ...asked, client: `${tab}:${pane}` });

function rememberedTab() {
  const fresh = [...crypto.getRandomValues(new Uint32Array(2))].map((part) => part.toString(36)).join("");
  try {
    const known = sessionStorage.getItem("countersign:tab");
    if (!known) sessionStorage.setItem("countersign:tab", fresh);
    return known ?? fresh;
  } catch {
    // Without storage, a reload is another tab.
    return fresh;
  }
}

/** Receive everything: a snapshot at first and after each interruption, then each change. */
export function listen(hear, setOnline) {
  const source = new EventSource("/page/stream");
  source.onmessage = (message) => hear(JSON.parse(message.data));
  source.onopen = () => setOnline(true);
  source.onerror = () => {
    setOnline(false);
    // A restarted server answers the first attempt with an error, after which the browser stops retrying.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(hear, setOnline), 1500);
  };
  window.addEventListener("pagehide", () => source.close(), { once: true });
}

/** What Slack would show for a missing or invalid acknowledgement. */
export function explainFailure(failure) {
  if (failure.startsWith("operation_timeout")) return "Countersign didn't answer within three seconds.";
  if (failure.startsWith("dispatch_failed")) return "Countersign couldn't be reached.";
  return `Countersign answered with a failure (${failure}).`;
}
