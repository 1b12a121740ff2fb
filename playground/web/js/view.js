// A view's fields while somebody fills them in: what was typed stays, even if the app updates the view meanwhile.

import { useState } from "../vendor/htm-preact-3.1.1.js";
import { valueOf } from "./fields.js";
import { usePresses } from "./pressing.js";

function* fieldsOf(blocks) {
  for (const block of blocks) {
    for (const element of [...(block.elements ?? []), block.accessory, block.element]) {
      if (element?.action_id) yield [block, element];
    }
  }
}

/** Everything that `Blocks` needs to show a view to this person. */
export function useView({ ws, person, view, notify, id }) {
  const [typed, setTyped] = useState({});
  const [errors, setErrors] = useState({});
  const own = (block, element) => typed[block.block_id]?.[element.action_id];
  const entered = () => {
    const values = {};
    for (const [block, element] of fieldsOf(view.content.blocks)) {
      const value = own(block, element);
      if (value !== undefined) (values[block.block_id] ??= {})[element.action_id] = value;
    }
    return values;
  };
  const presses = usePresses({ person, where: { view: view.id }, notify, typed: entered });
  const valueFor = (block, element) => {
    const value = own(block, element);
    return value === undefined ? valueOf(view.values[block.block_id]?.[element.action_id]) : value;
  };
  const setValue = (block, element, value) => {
    setTyped((before) => ({ ...before, [block.block_id]: { ...before[block.block_id], [element.action_id]: value } }));
    setErrors(({ [block.block_id]: _, ...others }) => others);
  };
  const surface = { ws, person, id, errors, valueFor, setValue, ...presses };
  return { surface, entered, setErrors };
}
