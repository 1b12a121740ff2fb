// Button presses and menu choices in a message or a view, and their errors.

import { useState } from "../vendor/htm-preact-3.1.1.js";
import { act, explainFailure, Problem } from "./server.js";

/** Perform an action as a person. `notify(text)` reports a failure. Returns the answer, or null. */
export async function tryAct(asked, notify) {
  try {
    const answer = await act(asked);
    if (answer.failure) notify(explainFailure(answer.failure));
    return answer;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    notify(`${problem.message[0].toUpperCase()}${problem.message.slice(1)}.`.replace(/([.?!])\.$/, "$1"));
    return null;
  }
}

export const keyOf = (block, element) => `${block.block_id} ${element.action_id} ${element.value ?? ""}`;

/** `busy` is the element that waits for an answer; `press` sends one press, with `where` as the server expects it. */
export function usePresses({ person, where, notify, typed }) {
  const [busy, setBusy] = useState(null);
  const press = async ({ block, element, value }) => {
    setBusy(keyOf(block, element));
    const asked = { act: "press", person, ...where, block_id: block.block_id, action_id: element.action_id, value };
    await tryAct(typed ? { ...asked, typed: typed() } : asked, notify);
    setBusy(null);
  };
  const search = async ({ block, element, query }) => {
    const asked = { act: "search", person, ...where, block_id: block.block_id, action_id: element.action_id, query };
    return (await tryAct(asked, notify))?.options ?? [];
  };
  return { busy, press, search, keyOf };
}
