// What a panel asks of the playground's server, one thing at a time, with the problem if it fails.

import { useRef, useState } from "../vendor/htm-preact-3.1.1.js";
import { post } from "./server.js";

/** `{ask, problem, isBusy}` for the panel of this name. `ask` gives the answer, or null if it failed or was too early. */
export function usePanel(name) {
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  // Two presses within one frame see the same state.
  const busy = useRef(false);
  const ask = async (asked) => {
    if (busy.current) return null;
    busy.current = true;
    setBusy(true);
    setProblem(null);
    try {
      return await post(`/page/panels/${name}`, asked);
    } catch (error) {
      setProblem(error.message);
      return null;
    } finally {
      busy.current = false;
      setBusy(false);
    }
  };
  return { ask, problem, isBusy };
}
