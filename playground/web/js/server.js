// Talks to the playground's server: acts go out, what happened comes in.

export class Problem extends Error {}

/** Ask for something to be done; the answer as JSON. Throws a Problem with words for the person. */
export async function post(path, asked) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(asked),
    });
  } catch {
    throw new Problem("The playground does not answer. Is it still running in the terminal?");
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

/** Do what a person does in Slack: `{act, person, …}`. */
export const act = (asked) => post("/page/acts", asked);

/** Hear of everything: a snapshot first and after each interruption, then each change. */
export function listen(hear, setOnline) {
  const source = new EventSource("/page/stream");
  source.onmessage = (message) => hear(JSON.parse(message.data));
  source.onopen = () => setOnline(true);
  source.onerror = () => {
    setOnline(false);
    // A server that was restarted answers the first try with an error, after which a browser gives up by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(hear, setOnline), 1500);
  };
  window.addEventListener("pagehide", () => source.close(), { once: true });
}

/** What Slack would say of an acknowledgement that did not come or was no good. */
export function explainFailure(failure) {
  if (failure.startsWith("operation_timeout")) return "Countersign did not answer within three seconds.";
  if (failure.startsWith("dispatch_failed")) return "Countersign could not be reached.";
  return `Countersign answered with a failure (${failure}).`;
}
