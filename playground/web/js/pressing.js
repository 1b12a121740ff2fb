// Presses of buttons and choices in menus, from a message or a view, and what goes wrong with them.

import { useState } from "../vendor/htm-preact-3.1.1.js";
import { act, explainFailure, Problem } from "./server.js";

/** Do an act for a person; `notify(text)` says what went wrong. Gives the answer, or null. */
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

/** `busy` is what waits for its answer; `press` sends one press, with `where` as the server names it. */
export function usePresses({ person, where, notify, typed }) {
  const [busy, setBusy] = useState(null);
  const press = async ({ block, element, value }) => {
    setBusy(keyOf(block, element));
    const asked = { act: "press", person, ...where, block_id: block.block_id, action_id: element.action_id, value };
    await tryAct(typed ? { ...asked, typed: typed() } : asked, notify);
    setBusy(null);
  };
  return { busy, press, keyOf };
}
