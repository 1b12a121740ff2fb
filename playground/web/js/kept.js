// Draws a component again only when what it shows has changed: a long conversation then costs as much as a short one.

import { Component, html } from "../vendor/htm-preact-3.1.1.js";

/** `fields` are what the component shows; functions that only call the server aren't among them. */
export const kept = (inner, fields) =>
  class Kept extends Component {
    shouldComponentUpdate(next) {
      const now = fields(next);
      return now.length !== this.shown.length || now.some((value, index) => value !== this.shown[index]);
    }

    render(props) {
      // Kept here, because the workspace is one object that changes: asked later, it would give what is shown next.
      this.shown = fields(props);
      return html`<${inner} ...${props} />`;
    }
  };
